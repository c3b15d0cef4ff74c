/**
 * Takes the framing off a body with `Transfer-Encoding: chunked` (RFC 9112 section 7.1), wherever it is cut in pieces.
 * Bytes are only looked at: nothing is allocated unless a piece is asked for as `content`. Bytes after the last chunk
 * are not told apart from further chunks, since nothing follows on the connections of a reader.
 */
export class ChunkedBody {
  /** Bytes of the current chunk that are still to come; 0: the line with the size of the next chunk comes first. */
  #left = 0
  /** The size in the current line, as far as it was read; -1 in a line without one, such as that which ends a chunk. */
  #size = -1
  #isExtension = false

  /** Where content begins at or after `at`, or the length of the piece when there is none. */
  start(piece: Uint8Array, at: number): number {
    let from = at
    while (this.#left === 0 && from < piece.length) from = this.#readSize(piece, from)
    return from
  }

  /** Where the content ends that begins at `at`, which `start` has answered. This content counts as taken. */
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

  /** Reads on in the line with the size of a chunk. Answers where the content begins, or the end of the piece. */
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
