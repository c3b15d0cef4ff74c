import { ProtocolError } from '../protocol/error.ts'

export interface SubscriberLimits {
  readonly subscribers: number
  /** Streams of one address, an IPv6 one by its /64; 0 is no limit. */
  readonly perAddress: number
  /** Streams of one holder of a token; 0 is no limit. */
  readonly perHolder: number
}

/** Counts the open streams of each client against the limits (SUB-33). Holds only clients with an open stream. */
export class SubscriberCount {
  #limits: SubscriberLimits
  readonly #byAddress = new Map<string, number>()
  readonly #byHolder = new Map<string, number>()
  readonly #fits: (total: number) => number
  #total = 0
  /** The number of streams that fit into the process, as of the last look. */
  #fitUntil = 0

  /** `fits`: the streams that the process has room for in all when `total` are open. Asked when these are reached. */
  constructor(limits: SubscriberLimits, fits: (total: number) => number = () => Number.POSITIVE_INFINITY) {
    this.#limits = limits
    this.#fits = fits
  }

  get total(): number {
    return this.#total
  }

  /** Sets other limits from now on. A limit where there was none counts the streams that open after it. */
  set limits(limits: SubscriberLimits) {
    this.#limits = limits
  }

  /** Looks again for room when the next stream comes: not only streams take room. */
  refit(): void {
    this.#fitUntil = 0
  }

  get #hasRoom(): boolean {
    if (this.#total < this.#fitUntil) return true
    this.#fitUntil = this.#fits(this.#total)
    return this.#total < this.#fitUntil
  }

  /** Whether the limits need the address of a client. */
  get needsAddress(): boolean {
    return this.#limits.perAddress > 0
  }

  /**
   * Counts one more stream, from the moment that it may be had, so that clients who come while it opens see it counted.
   * The answer is for `remove`, once, also when the stream never opens. Throws `too-many-subscribers` at a limit.
   */
  add(address: string | null, holder: string | null): Counted {
    const { subscribers, perAddress, perHolder } = this.#limits
    const counted: Counted = {
      network: perAddress > 0 && address !== null ? network(address) : null,
      holder: perHolder > 0 ? holder : null,
    }
    const isOver =
      (subscribers > 0 && this.#total >= subscribers) ||
      !this.#hasRoom ||
      (counted.network !== null && count(this.#byAddress, counted.network) >= perAddress) ||
      (counted.holder !== null && count(this.#byHolder, counted.holder) >= perHolder)
    if (isOver) throw new ProtocolError('too-many-subscribers', 'a limit of open streams is reached')
    this.#step(counted, 1)
    return counted.network === null && counted.holder === null ? inTotal : counted
  }

  remove(counted: Counted): void {
    this.#step(counted, -1)
  }

  #step(counted: Counted, by: number): void {
    this.#total += by
    if (counted.network !== null) step(this.#byAddress, counted.network, by)
    if (counted.holder !== null) step(this.#byHolder, counted.holder, by)
  }
}

/** The keys under which a stream is counted. Without limits of their own most count only in the total. */
export interface Counted {
  readonly network: string | null
  readonly holder: string | null
}

const inTotal: Counted = { network: null, holder: null }

/** An IPv6 client has a whole /64 to choose from, so the /64 counts as one address. */
export function network(address: string): string {
  if (!address.includes(':')) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped?.[1] !== undefined) return mapped[1]
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array<string>(Math.max(0, zeros)).fill('0'), ...right]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

function count(counts: ReadonlyMap<string, number>, key: string): number {
  return counts.get(key) ?? 0
}

function step(counts: Map<string, number>, key: string, by: number): void {
  const next = count(counts, key) + by
  if (next === 0) counts.delete(key)
  else counts.set(key, next)
}
