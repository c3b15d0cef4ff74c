/** The stored columns of a row that a reader is handed. */
export interface Sealed {
  readonly seq: number
  readonly id: string
  readonly private: number
  /** The topics as JSON. */
  readonly topics: string
}

/**
 * 32 bits over the row (xxHash32), signed: a disk that gives back the page of another row, or a part of one, must never
 * make a private event public or tear one. The files hold it: never change it. A row of 1 KB takes 0.4 us.
 */
export function checksum({ seq, id, topics, ...row }: Sealed, frame: Uint8Array): number {
  const place = Bun.hash.xxHash32(id, seq >>> 0)
  const audience = Bun.hash.xxHash32(topics, place ^ (row.private === 0 ? 0 : PRIVATE))
  return Bun.hash.xxHash32(frame, audience >>> 0) | 0
}

/**
 * Whether the frame belongs to the row. Rows of version 1 have no checksum: their frame must hold its own id, and be
 * whole.
 */
export function isIntact(row: Sealed, frame: Uint8Array, sum: number | null): boolean {
  if (row.private !== 0 && row.private !== 1) return false
  return sum === null ? holdsId(frame, row.id) : sum === checksum(row, frame)
}

/** The file is not as the hub wrote it. */
export class Damage extends Error {
  override readonly name = 'Damage'

  /** `after`: the last place in the log that could be read. */
  constructor(after: number) {
    super(`the history is damaged after entry ${after}`)
  }
}

function holdsId(frame: Uint8Array, id: string): boolean {
  const text = Buffer.from(frame.buffer, frame.byteOffset, frame.length)
  const field = Buffer.from(`id: ${id}\n`)
  const at = text.indexOf(field)
  const isField = at === 0 || (at > 0 && text[at - 1] === LINE_FEED)
  return isField && text.at(-1) === LINE_FEED && text.at(-2) === LINE_FEED
}

const PRIVATE = 0x9e3779b9
const LINE_FEED = 0x0a
