import { concat, type Frame } from '../protocol/event-stream.ts'
import type { Entry } from './transport.ts'

/**
 * The entries that one reader gets in a turn of the loop, as a path from a common root. Readers with equal
 * lists stand on the same node, so that the node puts their bytes together once and each gets one write for
 * all entries of the turn.
 */
export class Trail {
  readonly entry: Entry | null
  readonly #parent: Trail | null
  readonly #length: number
  readonly #depth: number
  #latest: Trail | null = null
  #others: Map<Entry, Trail> | null = null
  #frame: Frame | null = null

  private constructor(parent: Trail | null, entry: Entry | null, length: number, depth: number) {
    this.#parent = parent
    this.entry = entry
    this.#length = length
    this.#depth = depth
  }

  static root(): Trail {
    return new Trail(null, null, 0, 0)
  }

  /** The number of entries on the path. */
  get depth(): number {
    return this.#depth
  }

  /** The path that goes on with the entry. */
  to(entry: Entry): Trail {
    const latest = this.#latest
    if (latest !== null && latest.entry === entry) return latest
    return this.#branch(entry)
  }

  /** The bytes of the whole path, put together at the first call. */
  get frame(): Frame {
    this.#frame ??= this.#depth === 1 && this.entry !== null ? this.entry.frame : this.#concat()
    return this.#frame
  }

  #branch(entry: Entry): Trail {
    const known = this.#others?.get(entry)
    if (known !== undefined) return known
    const next = new Trail(this, entry, this.#length + entry.frame.length, this.#depth + 1)
    if (this.#latest !== null) {
      this.#others ??= new Map()
      if (this.#latest.entry !== null) this.#others.set(this.#latest.entry, this.#latest)
    }
    this.#latest = next
    return next
  }

  #concat(): Frame {
    const frames: Frame[] = []
    for (let node: Trail | null = this; node !== null && node.entry !== null; node = node.#parent) {
      frames.push(node.entry.frame)
    }
    return concat(frames.reverse(), this.#length)
  }
}
