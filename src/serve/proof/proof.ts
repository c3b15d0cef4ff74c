import type { Hub } from '../../hub/hub.ts'
import type { Loop } from '../../hub/loop.ts'
import type { Counters } from '../../telemetry/counters.ts'
import type { Log } from '../../telemetry/log.ts'
import { Question } from './question.ts'

/** Tries whether a running hub does its work, by ways that subscribers do not see. */
export class Proof {
  readonly #hub: Hub
  readonly #counters: Counters
  readonly #store: Question
  readonly #delivery: Question
  /** The number of publications that were settled by the last proof, when some were under way; else null. */
  #settledBefore: number | null = null

  constructor(hub: Hub, counters: Counters, loop: Loop, log: Log) {
    this.#hub = hub
    this.#counters = counters
    this.#store = new Question({
      ask: () => hub.check(),
      loop,
      log,
      silence: 'the store does not answer, and publications wait for it: does its disk hang?',
      recovery: 'the store answers again',
    })
    this.#delivery = new Question({
      ask: () => hub.checkDelivery(),
      loop,
      log,
      silence: 'the hub has no turn to write to its readers',
      recovery: 'the hub writes to its readers again',
    })
  }

  /** Which part is silent now, in words for the operator; null: none. */
  get problem(): string | null {
    return this.#store.problem ?? this.#delivery.problem
  }

  /** Resolves when the store takes a publication. Rejects with the reason, in time, when it does not. */
  ready(): Promise<void> {
    return this.#store.answerInTime()
  }

  /**
   * Resolves when publications get ahead, the store takes another, and an entry has been written to a reader inside the
   * process. Rejects with the reason where a part refuses, and waits while one is silent.
   */
  async work(): Promise<void> {
    await Promise.all([this.#store.answer(), this.#delivery.answer()])
    this.#checkPublications()
  }

  /** Publications that were under way at the proof before have been settled, at least one of them. */
  #checkPublications(): void {
    const { updates, updatesFailed } = this.#counters
    const settled = updates + updatesFailed
    const isStanding = settled === this.#settledBefore
    this.#settledBefore = this.#hub.appendingCount > 0 ? settled : null
    if (isStanding) throw new Error('publications are not settled, though the store answers')
  }
}
