/** A thing that happened, in a sentence for an operator. */
export interface BoardNotice {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly level: 'info' | 'warn' | 'bad'
  readonly text: string
}

/** The last hundred notices, newest first. */
export class NoticeBoard {
  readonly #clock: () => number
  #notices: readonly BoardNotice[] = []

  /** `clock`: milliseconds since the epoch. */
  constructor(clock: () => number) {
    this.#clock = clock
  }

  add(level: BoardNotice['level'], text: string): void {
    this.#notices = [{ at: this.#clock(), level, text }, ...this.#notices.slice(0, NOTICES_MAX - 1)]
  }

  get notices(): readonly BoardNotice[] {
    return this.#notices
  }
}

const NOTICES_MAX = 100
