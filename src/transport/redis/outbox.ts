import type { ProtocolError } from '../../protocol/error.ts'
import type { Envelope } from '../../protocol/update.ts'
import { type Rule, ruleOf } from '../retention.ts'
import { packEntry, redisBytes } from './entry.ts'
import { groupOf } from './rules.ts'

/**
 * The items that a node has to store. Those of one turn make a batch; one batch is under way and the next gathers. A batch has a
 * number, under which the log stores it once, and is over when the node's own tail has brought it: until then the node
 * sends it again after each new session.
 */
export class Outbox {
  readonly #now: () => number
  #waiting: Item[] = []
  #waitingBytes = 0
  /** Sent and not over, in order of their numbers. At most the last has no answer. */
  #batches: Batch[] = []
  #number = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** Bytes that wait to be sent, or to be over. */
  get bytes(): number {
    return this.#waitingBytes + this.#batches.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#batches.length === 0
  }

  /** Resolves when it is stored and the tail has brought it. Rejects as `Transport.append` does. */
  add(work: Work): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ ...work, since: this.#now(), resolve, reject })
    this.#waitingBytes += work.bytes
    return promise
  }

  /** The batch to send now: one without an answer, or a new one of those that wait. Null: there is nothing to send. */
  next(): Batch | null {
    const unanswered = this.#batches.find(({ last }) => last === null)
    if (unanswered !== undefined) return unanswered
    let bytes = 0
    let updates = 0
    let length = 0
    for (const item of this.#waiting) {
      const isFull = updates + item.updates > BATCH_UPDATES || bytes + item.bytes > BATCH_BYTES
      if (length > 0 && isFull) break
      bytes += item.bytes
      updates += item.updates
      length++
    }
    if (length === 0) return null
    const items = this.#waiting.splice(0, length).map((item) => ({ ...item, envelopes: item.make() }))
    this.#waitingBytes -= bytes
    const batch: Batch = {
      number: ++this.#number,
      items,
      bytes,
      origin: null,
      last: null,
      isConfirmed: false,
      sentAt: 0,
    }
    this.#batches.push(batch)
    return batch
  }

  /** The batch with this number, unless it is over. */
  find(number: number): Batch | null {
    return this.#batches.find((batch) => batch.number === number) ?? null
  }

  /** The log has stored the batch from this position on; a flag for each item says whether it took place. */
  place(batch: Batch, first: number, flags: string): void {
    const stored = batch.items.filter((_, at) => flags[at] === '1')
    const count = stored.reduce((sum, { envelopes }) => sum + envelopes.length, 0)
    batch.last = count === 0 ? 0 : first + count - 1
  }

  /** The tail has come to this position: every batch up to there is over. */
  deliver(position: number): void {
    for (;;) {
      const [batch] = this.#batches
      if (batch === undefined || batch.last === null || batch.last > position || !batch.isConfirmed) return
      this.#batches.shift()
      for (const { resolve } of batch.items) resolve()
    }
  }

  /** A new session has begun, in which the newest batch that the log knows has this number. */
  begin(known: number): void {
    for (const batch of this.#batches) {
      if (batch.number <= known) continue
      batch.last = null
      batch.isConfirmed = false
    }
  }

  /** Gives the batch up. Joins and leaves do not fail: their presence looks after its rows again. */
  refuse(batch: Batch, reason: ProtocolError): void {
    this.#batches = this.#batches.filter((one) => one !== batch)
    for (const item of batch.items) settle(item, reason)
  }

  /** Gives up what has waited for longer than this, and the batches that it is in. Answers whether there was any. */
  refuseOlder(ms: number, reason: ProtocolError): boolean {
    const since = this.#now() - ms
    const isOld = (item: Item) => item.since < since
    const late = this.#batches.filter(({ items }) => items.some(isOld))
    for (const batch of late) this.refuse(batch, reason)
    const old = this.#waiting.filter(isOld)
    if (old.length > 0) this.#waiting = this.#waiting.filter((item) => !isOld(item))
    for (const item of old) {
      this.#waitingBytes -= item.bytes
      settle(item, reason)
    }
    return late.length > 0 || old.length > 0
  }

  /** Resolves when everything that is in it now is over, in whichever way. */
  async settled(): Promise<void> {
    const all = [...this.#batches.flatMap(({ items }) => items), ...this.#waiting]
    await Promise.all(all.map((item) => over(item)))
  }
}

/** The arguments of a batch for the script that stores it, by the rules of this moment. */
export function batchArguments({ items }: Batch, rules: readonly Rule[]): readonly (string | Buffer)[] {
  const args: (string | Buffer)[] = [String(items.length)]
  for (const { kind, owner, subscriber, document, envelopes } of items) {
    args.push(kind, owner, subscriber, document, String(envelopes.length))
    for (const envelope of envelopes) {
      const { id, topics, frame } = envelope
      const rule = ruleOf(topics, rules)
      const group = groupOf(topics, rules[rule ?? -1])
      const bytes = redisBytes(envelope, rule !== null)
      args.push(id, String(rule ?? -1), group, String(bytes), String(frame.length), packEntry(envelope))
    }
  }
  return args
}

/** Something to store: an update, or a row of the presence with its events. */
export interface Work {
  readonly kind: 'u' | 'j' | 'l'
  /** The node whose row it is; empty for an update. */
  readonly owner: string
  readonly subscriber: string
  readonly document: string
  /** The number of its updates. */
  readonly updates: number
  /** The bytes of these, about. */
  readonly bytes: number
  /** Makes its envelopes when it is about to be sent. */
  make(): readonly Envelope[]
}

/** Things that are stored together. */
export interface Batch {
  readonly number: number
  readonly items: readonly (Item & { readonly envelopes: readonly Envelope[] })[]
  readonly bytes: number
  /** The log and the run that it was sent to first; null before. */
  origin: string | null
  /** The position of its last entry; zero when it has none; null as long as nobody knows. */
  last: number | null
  /** Whether as many replicas have it as the settings ask for. */
  isConfirmed: boolean
  sentAt: number
}

interface Item extends Work {
  readonly since: number
  resolve: () => void
  reject: (reason: unknown) => void
}

// Unless a single item has more.
const BATCH_UPDATES = 250
const BATCH_BYTES = 1 << 20

function settle({ kind, resolve, reject }: Item, reason: ProtocolError): void {
  if (kind === 'u') reject(reason)
  else resolve()
}

function over(item: Item): Promise<void> {
  return new Promise((done) => {
    const { resolve, reject } = item
    item.resolve = () => {
      resolve()
      done()
    }
    item.reject = (reason) => {
      reject(reason)
      done()
    }
  })
}
