import type { Loop } from '../../hub/loop.ts'
import type { Log } from '../../telemetry/log.ts'

/**
 * A question to a part of the hub that may hang. All who ask while an answer is awaited wait for the same one, so that
 * asking often piles nothing up. When no answer comes, one line of the log says so, and another when it comes after all.
 */
export class Question {
  readonly #options: QuestionOptions
  #asking: { readonly answer: Promise<void>; readonly inTime: Promise<void> } | null = null
  #isLate = false

  constructor(options: QuestionOptions) {
    this.#options = options
  }

  /** Why there is no answer, while one is late; else null. */
  get problem(): string | null {
    return this.#isLate ? this.#options.silence : null
  }

  /** Settles as the answer does, however late that is. */
  answer(): Promise<void> {
    return this.#ask().answer
  }

  /** Settles as the answer does, and rejects with a plain Error when that is late. */
  answerInTime(): Promise<void> {
    return this.#ask().inTime
  }

  #ask() {
    if (this.#asking !== null) return this.#asking
    const { ask, loop, silence } = this.#options
    const late = Promise.withResolvers<void>()
    const callOff = loop.delay(PATIENCE_MS, () => {
      this.#setLate(true)
      late.reject(new Error(silence))
    })
    const answer = ask().finally(() => {
      callOff()
      this.#asking = null
      this.#setLate(false)
    })
    const inTime = Promise.race([answer, late.promise])
    // Each of the two may be awaited by nobody.
    answer.catch(() => {})
    inTime.catch(() => {})
    this.#asking = { answer, inTime }
    return this.#asking
  }

  #setLate(isLate: boolean): void {
    if (isLate === this.#isLate) return
    this.#isLate = isLate
    const { log, silence, recovery } = this.#options
    if (isLate) log.error(silence)
    else log.info(recovery)
  }
}

/** The parts of a question. */
export interface QuestionOptions {
  readonly ask: () => Promise<void>
  readonly loop: Loop
  readonly log: Log
  /** The line of the log when no answer comes. */
  readonly silence: string
  /** The line when the answer comes after all. */
  readonly recovery: string
}

/** An answer is late after so much time, in milliseconds: before those who ask by HTTP go away (`cinnabar health`). */
export const PATIENCE_MS = 3000
