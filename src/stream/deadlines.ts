import { type Loop, SLICE_MS } from '../hub/loop.ts'

/** Something that ends at a time. It keeps its own place in the queue, so that the queue finds it without a search. */
export interface Due {
  /** Milliseconds of the queue's clock. Fixed while it is in the queue. */
  readonly dueAt: number
  /** Its place in the queue; -1 when it is not in. Only the queue writes it. */
  place: number
  /** The time has come. The queue has taken it out by then. */
  onDue(): void
}

/**
 * The queue of ends. One timer, for the earliest, serves all of them: every stream has an end, and a timer of the
 * platform for each of 10,000 is megabytes. A heap by time, so that a stream that ends before costs a few steps
 * and leaves nothing behind.
 */
export class Deadlines {
  readonly #loop: Pick<Loop, 'now' | 'delay'>
  readonly #heap: Due[] = []
  #wakesAt = Number.POSITIVE_INFINITY
  #cancel: (() => void) | null = null

  /** `loop.now` is the queue's clock. It may be one that steps, when the owner calls `look` now and then. */
  constructor(loop: Pick<Loop, 'now' | 'delay'>) {
    this.#loop = loop
  }

  /** Milliseconds of the queue's clock. */
  get now(): number {
    return this.#loop.now()
  }

  get size(): number {
    return this.#heap.length
  }

  /** Puts it in the queue. It is due in a later turn at the earliest. */
  add(due: Due): void {
    this.#rise(due, this.#heap.length)
    if (due.dueAt < this.#wakesAt) this.#wake()
  }

  /** Takes it out. Does nothing when it is not in. */
  remove(due: Due): void {
    const { place } = due
    if (place === -1) return
    due.place = -1
    const last = this.#heap.pop()
    if (last === undefined || last === due) return
    const above = this.#heap[parentOf(place)]
    if (place > 0 && above !== undefined && last.dueAt < above.dueAt) this.#rise(last, place)
    else this.#sink(last, place)
  }

  /** Ends everything that is due, though the timer may be far away: the clock was set, or the machine was asleep. */
  look(): void {
    const [first] = this.#heap
    if (first !== undefined && first.dueAt <= this.#loop.now()) this.#run()
  }

  #wake(): void {
    this.#cancel?.()
    this.#cancel = null
    const [first] = this.#heap
    this.#wakesAt = first?.dueAt ?? Number.POSITIVE_INFINITY
    if (first !== undefined)
      this.#cancel = this.#loop.delay(first.dueAt - this.#loop.now(), () => this.#run())
  }

  #run(): void {
    const now = this.#loop.now()
    // The earliest may be gone by now: then the queue only waits for the next one.
    for (let [first] = this.#heap; first !== undefined && first.dueAt <= now; [first] = this.#heap) {
      this.remove(first)
      first.onDue()
      // The tokens of thousands may expire at once: the queue ends the others in a later turn.
      if (this.#loop.now() >= now + SLICE_MS) break
    }
    this.#wake()
  }

  #rise(due: Due, from: number): void {
    let place = from
    while (place > 0) {
      const above = this.#heap[parentOf(place)]
      if (above === undefined || above.dueAt <= due.dueAt) break
      this.#put(above, place)
      place = parentOf(place)
    }
    this.#put(due, place)
  }

  #sink(due: Due, from: number): void {
    let place = from
    for (;;) {
      const left = 2 * place + 1
      const below = earlier(this.#heap[left], this.#heap[left + 1])
      if (below === undefined || below.dueAt >= due.dueAt) break
      const next = below.place
      this.#put(below, place)
      place = next
    }
    this.#put(due, place)
  }

  #put(due: Due, place: number): void {
    this.#heap[place] = due
    due.place = place
  }
}

function parentOf(place: number): number {
  return (place - 1) >> 1
}

function earlier(left: Due | undefined, right: Due | undefined): Due | undefined {
  if (left === undefined || right === undefined) return left
  return right.dueAt < left.dueAt ? right : left
}
