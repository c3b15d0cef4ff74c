import { ProtocolError } from '../../protocol/error.ts'
import type { Anchor } from '../log-clock.ts'
import type { Amount, Limits, RuleLimits } from '../retention.ts'

/** Whether an accepted update survives the loss of power, or only the end of the process. */
export type Durability = 'full' | 'normal'

/** Entries to commit together, by column: the frames one after the other in a buffer that moves threads. */
export interface Batch {
  readonly ids: readonly string[]
  /** The topics of each entry, as a JSON array of strings. */
  readonly topics: readonly string[]
  readonly isPrivate: readonly boolean[]
  /** The index of the rule of each entry, or null: patterns cannot be sent to the writer. */
  readonly rules: readonly (number | null)[]
  readonly frameLengths: readonly number[]
  readonly frames: ArrayBuffer
}

/** A request of the hub's thread to the writer. `now` is the log's time in milliseconds. */
export type Request =
  | {
      readonly kind: 'open'
      readonly path: string
      /** The file itself, in this process; null where it could not be opened. */
      readonly descriptor: number | null
      readonly durability: Durability
      readonly limits: Limits
      readonly rules: readonly RuleLimits[]
      readonly now: number
      readonly anchor: Anchor
    }
  | { readonly kind: 'commit'; readonly batch: Batch; readonly now: number }
  | { readonly kind: 'tidy'; readonly now: number; readonly isIdle: boolean }
  /** The writer stores the anchor, since the wall clock was set. */
  | { readonly kind: 'anchor'; readonly anchor: Anchor }
  | { readonly kind: 'probe' }
  | { readonly kind: 'close' }

/** The log after a request. */
export interface Done {
  readonly kind: 'done'
  /** The highest sequence number; of a committed batch, that of its last entry. */
  readonly head: number
  readonly count: number
  readonly bytes: number
  readonly oldestAt: number | null
  /** The amount of each rule. */
  readonly rules: readonly Amount[]
  /** The number of entries that rules dropped and whose places the log remembers. */
  readonly places: number
  /** False when another `tidy` has something to do. */
  readonly isTidy: boolean
}

/** `store-unavailable`: the file is not the one any more that the hub has opened. */
export type FailureCode = 'store-full' | 'store-failed' | 'store-unavailable'

/** The writer answers every request once, in order. */
export type Reply = Done | { readonly kind: 'failed'; readonly code: FailureCode; readonly message: string }

/** The writer as the hub's thread sees it. */
export class WriterThread {
  readonly #worker: Worker
  readonly #pending: PromiseWithResolvers<Done>[] = []
  #isDead = false

  constructor(worker: Worker) {
    this.#worker = worker
    worker.addEventListener('message', (event: MessageEvent<Reply>) => this.#settle(event.data))
    worker.addEventListener('error', () => this.#die())
    worker.addEventListener('close', () => this.#die())
  }

  /** Rejects with one of the codes, with `store-failed` also for every request after the thread has died. */
  request(request: Request): Promise<Done> {
    if (this.#isDead) return Promise.reject(died())
    const answer = Promise.withResolvers<Done>()
    this.#pending.push(answer)
    this.#worker.postMessage(request, request.kind === 'commit' ? [request.batch.frames] : [])
    return answer.promise
  }

  /** Ends the thread now. */
  terminate(): void {
    this.#die()
    this.#worker.terminate()
  }

  /** Leaves the thread to the end of the process: it may wait for a disk, and nobody waits for it. */
  abandon(): void {
    this.#die()
  }

  #settle(reply: Reply): void {
    const answer = this.#pending.shift()
    if (reply.kind === 'done') answer?.resolve(reply)
    else answer?.reject(new ProtocolError(reply.code, reply.message))
  }

  #die(): void {
    this.#isDead = true
    for (const answer of this.#pending.splice(0)) answer.reject(died())
  }
}

function died(): ProtocolError {
  return new ProtocolError('store-failed', 'the writer of the history has ended: restart the hub')
}
