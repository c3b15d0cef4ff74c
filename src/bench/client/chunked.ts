/**
 * Takes the framing off a body with `Transfer-Encoding: chunked` (RFC 9112 section 7.1), in whatever pieces it comes.
 * Bytes are only looked at: nothing is allocated unless a piece is asked for as `content`. What follows the last chunk
 * is not told apart from further chunks, since nothing follows on the connections of a reader.
 */
export class ChunkedBody {
  /** Content of the current chunk that is still to come; 0: the line with the size of one is. */
  #left = 0
  /** As far as it is known; -1 in a line without one, such as the one that ends a chunk. */
  #size = -1
  #isExtension = false

  /** Where content begins at or after `at`, or the length of the piece when there is none. */
  start(piece: Uint8Array, at: number): number {
    let from = at
    while (this.#left === 0 && from < piece.length) from = this.#readSize(piece, from)
    return from
  }

  /** Where the content ends that begins at `at`, which `start` has answered. It counts as taken. */
  end(piece: Uint8Array, at: number): number {
    const end = Math.min(piece.length, at + this.#left)
    this.#left -= end - at
    return end
  }

  /** The content of a piece. It may be a view of the piece. */
  content(piece: Buffer): Buffer {
    const parts: Buffer[] = []
    for (let at = this.start(piece, 0); at < piece.length; ) {
      const end = this.end(piece, at)
      parts.push(piece.subarray(at, end))
      at = this.start(piece, end)
    }
    const [only] = parts
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
  }

  /** Reads on in the line with the size of a chunk. Answers where it goes on after that, or after the piece. */
  #readSize(piece: Uint8Array, from: number): number {
    for (let at = from; at < piece.length; at++) {
      const byte = piece[at] ?? 0
      if (byte === NEWLINE) {
        this.#isExtension = false
        if (this.#size === -1) continue
        this.#left = this.#size
        this.#size = -1
        return at + 1
      }
      const digit = this.#isExtension ? -1 : hexDigit(byte)
      if (digit === -1) this.#isExtension ||= byte === SEMICOLON
      else this.#size = Math.max(0, this.#size) * 16 + digit
    }
    return piece.length
  }
}

const NEWLINE = 0x0a
const SEMICOLON = 0x3b

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
