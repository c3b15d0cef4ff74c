import type { Entry, Position } from '../../hub/transport.ts'
import { unpackEntry } from './entry.ts'

/** A batch as the tail of the log brings it. */
export interface TailBatch {
  /** The position of its last entry. */
  readonly last: number
  /** The position of the last entry in the batch before; null where the log tells of a loss instead of a batch. */
  readonly before: number | null
  readonly node: string
  /** The number that the node gave the batch. */
  readonly number: number
  /** A flag for each item of the batch: whether it took place. */
  readonly flags: string
  readonly entries: readonly Entry[]
}

/** Reads the answer to XREAD: the batches of the one stream, oldest first. Throws a plain Error for any other. */
export function parseTail(answer: unknown): readonly TailBatch[] {
  if (answer === null) return []
  const [stream] = listOf(answer)
  const [, batches] = listOf(stream)
  return listOf(batches).map((batch) => {
    const [id, fields] = listOf(batch)
    return parseBatch(Number(String(id).replace(/-.*/, '')), listOf(fields))
  })
}

function parseBatch(last: number, fields: readonly unknown[]): TailBatch {
  if (String(fields[0]) === 'lost') return { last, before: null, node: '', number: 0, flags: '', entries: [] }
  const [node = '', number, flags = '', before] = String(fields[1]).split(' ')
  const packed = fields[3]
  if (!Buffer.isBuffer(packed)) throw new Error('the tail of the log holds what no hub wrote')
  return {
    last,
    before: Number(before),
    node,
    number: Number(number),
    flags,
    entries: unpackAll(packed, last),
  }
}

/** Entries after each other, each behind its length and a colon. They have the positions up to `last`. */
function unpackAll(packed: Buffer, last: number): readonly Entry[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < packed.length; ) {
    const colon = packed.indexOf(COLON, at)
    const end = colon + 1 + Number(packed.toString('latin1', at, colon))
    pieces.push(packed.subarray(colon + 1, end))
    at = end
  }
  const first = last - pieces.length + 1
  return pieces.map((piece, at) => unpackEntry(piece, (first + at) as Position))
}

const COLON = 58

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
