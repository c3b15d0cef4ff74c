/**
 * The memory budget: it decides what the hub gives up, and in which order, when the process is above its limit.
 *
 * An episode begins when resident memory passes the limit's threshold. At each look that still finds it there,
 * the budget takes one more step: caches, then replays in progress, then the slowest readers, then new connections.
 * It repeats each step until the pressure is over. The hub accepts publications all the while. Below the
 * lower threshold the episode ends by itself, and everything is as before.
 */
export class Budget {
  readonly #options: BudgetOptions
  #step = 0

  constructor(options: BudgetOptions) {
    this.#options = options
  }

  /** Steps taken in the episode, from 0 (none) to 4 (new connections are refused). */
  get step(): number {
    return this.#step
  }

  /** Whether the hub refuses new connections now. */
  get isFull(): boolean {
    return this.#step >= REFUSE_CONNECTIONS
  }

  /** Looks at the resident memory, in bytes, and acts. Does nothing without a limit. */
  look(residentBytes: number): void {
    const { limitBytes, observe } = this.#options
    if (limitBytes === 0) return
    if (residentBytes <= limitBytes * RELIEVED) {
      if (this.#step > 0) observe({ kind: 'relieved', step: this.#step })
      this.#step = 0
      return
    }
    if (residentBytes <= limitBytes * PRESSED) return
    if (this.#step === 0) observe({ kind: 'pressed', residentBytes })
    this.#step = Math.min(this.#step + 1, REFUSE_CONNECTIONS)
    this.#shed()
  }

  #shed(): void {
    const { dropCaches, endReplays, cutSlowest } = this.#options
    dropCaches()
    if (this.#step >= END_REPLAYS) endReplays()
    if (this.#step >= CUT_SLOWEST) cutSlowest()
  }
}

// Shedding starts before the limit, since freed memory goes back to the system with a delay.
const PRESSED = 0.9
const RELIEVED = 0.8

const END_REPLAYS = 2
const CUT_SLOWEST = 3
const REFUSE_CONNECTIONS = 4

export interface BudgetOptions {
  /** Resident memory that the process is to stay below; 0 is no limit. */
  readonly limitBytes: number
  readonly dropCaches: () => void
  /** Ends the subscribers that are catching up; they come back with their cursor. */
  readonly endReplays: () => void
  /** Ends the readers with the most waiting bytes: those that hold the upper half of all. */
  readonly cutSlowest: () => void
  /** Told once when an episode begins and once when it ends. */
  readonly observe: (event: BudgetEvent) => void
}

export type BudgetEvent =
  | { readonly kind: 'pressed'; readonly residentBytes: number }
  /** `step`: the last step that the budget took. */
  | { readonly kind: 'relieved'; readonly step: number }
