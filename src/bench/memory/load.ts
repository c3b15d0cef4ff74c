import { CommandFailure } from '../../command/command.ts'
import type { SizeRange } from '../../command/numbers.ts'
import { Tally } from '../client/events.ts'
import { Publishers, stampedBody } from '../client/publishers.ts'
import type { Reader } from '../client/reader.ts'
import { openReaders } from '../client/readers.ts'
import type { Target } from '../client/target.ts'

/** The load of every hub of a run, the same for all. */
export interface MemoryLoad {
  /** Publications, or null: as many as the time allows. */
  readonly updates: number | null
  /** Null: until all updates are published. */
  readonly durationMs: number | null
  /** Publications per second for each hub; 0: as fast as they are answered. */
  readonly rate: number
  readonly sizes: SizeRange
  readonly topics: number
  readonly subscribers: number
  readonly publishers: number
}

export interface LoadRun {
  readonly target: Target
  readonly load: MemoryLoad
  /** The beginning of all of its topics. */
  readonly prefix: string
  readonly signal: AbortSignal
  onAccepted(): void
}

/** Publishes to one hub, with subscribers, until a limit of the load is reached. Rejects with a `CommandFailure`. */
export async function runLoad({ target, load, prefix, signal, onAccepted }: LoadRun): Promise<void> {
  const readers: Reader[] = []
  const watch = new SilenceWatch()
  const topic = (number: number) => `${prefix}${number % load.topics}`
  const dataBytes = load.sizes.least
  const work = async () => {
    const tally = new Tally()
    const { subscribers: count } = load
    await openReaders({ target, count, topic, dataBytes, tally, signal }, readers)
    const publishers = await Publishers.open(target, publishersOf(load))
    const body = stampedBody(mixedSizes(target, load.sizes), dataBytes, topic)
    const isOver = ending(load, signal)
    const accepted = () => {
      watch.note()
      onAccepted()
    }
    const plan = { body, rate: load.rate, isOver, onAccepted: accepted }
    await publishers.run(plan).finally(() => publishers.close())
  }
  try {
    // Connections that a hub leaves open when it hangs are closed with the hub.
    await Promise.race([work(), aborted(signal), watch.silence])
  } finally {
    watch.stop()
    for (const reader of readers) reader.close()
  }
}

/** A publisher that has more than a second to wait is not needed, and would hold up the end of the run. */
function publishersOf({ publishers, rate }: MemoryLoad): number {
  return rate === 0 ? publishers : Math.min(publishers, rate)
}

/** Tells before each publication whether a limit is reached, counting the time from now on. */
function ending({ updates, durationMs }: MemoryLoad, signal: AbortSignal): (number: number) => boolean {
  const start = performance.now()
  return (number) =>
    signal.aborted ||
    number >= (updates ?? Number.POSITIVE_INFINITY) ||
    performance.now() - start >= (durationMs ?? Number.POSITIVE_INFINITY)
}

/** How far a load is, from 0 to 1: the first limit that is reached ends it. */
export function shareOf({ updates, durationMs }: MemoryLoad, sent: number, seconds: number): number {
  const bySent = updates === null ? 0 : sent / updates
  const byTime = durationMs === null ? 0 : (1000 * seconds) / durationMs
  return Math.min(1, Math.max(bySent, byTime))
}

/** The size of the publication with this number. Small ones are as frequent as large ones are heavy. */
export function sizeOf(number: number, { least, most }: SizeRange): number {
  // Multiples of the golden ratio are spread evenly, and the same in every run and for every hub.
  const share = (number * 0.6180339887498949) % 1
  return Math.round(least * (most / least) ** share)
}

/** Gives up a hub that is there and answers nothing any more: a run ends by itself. */
class SilenceWatch {
  readonly #silence = Promise.withResolvers<void>()
  readonly #timer: ReturnType<typeof setInterval>
  #hasAnswered = true

  constructor() {
    this.#timer = setInterval(() => {
      if (!this.#hasAnswered) {
        this.#silence.reject(new CommandFailure(`it has answered nothing for ${SILENCE_MS / 1000} s`))
      }
      this.#hasAnswered = false
    }, SILENCE_MS)
    // The silence may come while nobody waits yet.
    this.#silence.promise.catch(() => {})
  }

  /** Rejects with a `CommandFailure` when the hub has fallen silent, and never resolves. */
  get silence(): Promise<void> {
    return this.#silence.promise
  }

  note(): void {
    this.#hasAnswered = true
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

const SILENCE_MS = 30_000

function mixedSizes(target: Target, sizes: SizeRange): Target {
  if (sizes.least === sizes.most) return target
  let number = 0
  return {
    ...target,
    publication: (topic, data) => target.publication(topic, data.padEnd(sizeOf(number++, sizes), 'x')),
  }
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
