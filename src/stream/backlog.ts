import { concat, type Frame } from '../protocol/event-stream.ts'

/**
 * The frames that one reader has not been given yet: held by reference, shared with all other readers that wait for
 * them, and taken off in pieces. Bun copies the rest of a write that the socket does not take, so that a reader who
 * stops reading costs at most a piece beyond the shared frames.
 */
export class Backlog {
  #frames: Frame[] = []
  /** Bytes of the first frame that the stream has taken already. */
  #taken = 0

  get isEmpty(): boolean {
    return this.#frames.length === 0
  }

  push(frame: Frame): void {
    this.#frames.push(frame)
  }

  /** The next bytes, at most `PIECE_BYTES` of them: many small frames together, or a part of a large one. */
  take(): Frame {
    const [first] = this.#frames
    const isLarge = first !== undefined && first.length - this.#taken > PIECE_BYTES
    return isLarge ? this.#cut(first) : this.#join()
  }

  clear(): void {
    this.#frames = []
    this.#taken = 0
  }

  #cut(frame: Frame): Frame {
    const piece = part(frame, this.#taken, this.#taken + PIECE_BYTES)
    this.#taken += piece.length
    return piece
  }

  #join(): Frame {
    let count = 0
    let length = -this.#taken
    for (const frame of this.#frames) {
      if (count > 0 && length + frame.length > PIECE_BYTES) break
      length += frame.length
      count++
    }
    const frames = this.#frames.splice(0, count)
    const [first, ...others] = frames
    if (first === undefined) return concat([], 0)
    const rest = part(first, this.#taken, first.length)
    this.#taken = 0
    return others.length === 0 ? rest : concat([rest, ...others], length)
  }
}

/**
 * Bytes of one write. With 16 KiB, 1,000 readers and updates of 1 KB at full speed the hub spends 1.3 us on a
 * delivery, with 64 KiB or no limit 0.8.
 */
export const PIECE_BYTES = 64 * 1024

function part(frame: Frame, start: number, end: number): Frame {
  return start === 0 && end >= frame.length ? frame : (frame.subarray(start, end) as Frame)
}
