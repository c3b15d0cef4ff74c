import type { Envelope } from '../../protocol/update.ts'
import type { Batch } from './thread.ts'

/** An append on its way. */
export interface Waiting {
  readonly envelope: Envelope
  /** The topics as a JSON array. */
  readonly topics: string
  /** The index of its rule, or null. */
  readonly rule: number | null
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

// Limits of one transaction, so that neither the journal nor the wait for a commit grows with the load. Ids
// are random: each entry may touch another page of the index, and 8 KiB of the journal with it.
/** Entries of one transaction at most. */
export const BATCH_ENTRIES = 250
/** Bytes of one transaction at most, unless the first entry alone has more. */
export const BATCH_BYTES = 1 << 20

/** Takes the appends off the front that the writer is to commit together: at least one, of any size. */
export function takeBatch(waiting: Waiting[]): Waiting[] {
  let bytes = 0
  let length = 0
  for (const { envelope, topics } of waiting) {
    bytes += envelope.frame.length + topics.length + envelope.id.length
    if (length > 0 && (length >= BATCH_ENTRIES || bytes > BATCH_BYTES)) break
    length++
  }
  return waiting.splice(0, length)
}

/** The batch as it goes to the writer. Frames are copied once, into a buffer that then changes its thread. */
export function pack(batch: readonly Waiting[]): Batch {
  const frameLengths = batch.map(({ envelope }) => envelope.frame.length)
  const frames = new Uint8Array(frameLengths.reduce((sum, length) => sum + length, 0))
  let offset = 0
  for (const { envelope } of batch) {
    frames.set(envelope.frame, offset)
    offset += envelope.frame.length
  }
  return {
    ids: batch.map(({ envelope }) => envelope.id),
    topics: batch.map(({ topics }) => topics),
    isPrivate: batch.map(({ envelope }) => envelope.private),
    rules: batch.map(({ rule }) => rule),
    frameLengths,
    frames: frames.buffer,
  }
}
