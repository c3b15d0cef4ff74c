import type { Envelope } from '../../protocol/update.ts'

/** Bytes of one database page. 8 KiB packs updates of 1 KB with half the waste of 4 KiB. */
export const PAGE_BYTES = 8192

/**
 * The bytes of an entry in the file: a model of the SQLite file format, sections 1.5 and 1.6.
 * The sum over all kept entries, times 1.25, is never less than the pages that they occupy, for every mix
 * of sizes: that makes `maxBytes` a promise about the file.
 */
export function storedBytes(envelope: Envelope, isRuled = false): number {
  const topics = Buffer.byteLength(JSON.stringify(envelope.topics))
  const bytes = modelBytes(Buffer.byteLength(envelope.id), topics, envelope.frame.length)
  return bytes + (isRuled ? RULED_BYTES : 0)
}

/** The bytes on top for an entry of a rule: a row of about 40 bytes and its keys in two indexes. */
export const RULED_BYTES = 90

/**
 * The bytes of the place of an entry with an id of `id` bytes: a row with the id and its key. Less than any entry with
 * that id, which holds it twice: dropping an entry never takes room.
 */
export function placeBytes(id: number): number {
  return modelBytes(id, 0, 0)
}

/** `storedBytes` from the lengths in UTF-8: of the id, the topics as JSON, and the frame. */
export function modelBytes(id: number, topics: number, frame: number): number {
  const values = id + topics + frame
  // A record that just does not fit in a page costs less than one that just does, so neither is enough alone.
  return Math.max(recordBytes(ROW_BYTES_MIN + values), recordBytes(ROW_BYTES_MAX + values)) + KEY_BYTES
}

// The record header and the integers of a row with its checksum, as integers take 0 to 6 bytes; the length, rowid and
// pointer of its cell; and its key of 21 bytes in the index, whose pages are about two thirds full because keys arrive
// in random order.
const ROW_BYTES_MIN = 12
const ROW_BYTES_MAX = 39
const CELL_BYTES = 11
const KEY_BYTES = 34

/** A record in the pages of its table: its cell, and the overflow pages that it has for itself. */
function recordBytes(payload: number): number {
  const local = localBytes(payload)
  const overflowPages = Math.ceil((payload - local) / (PAGE_BYTES - 4))
  return Math.ceil(packed(local + CELL_BYTES)) + overflowPages * PAGE_BYTES
}

/** The bytes of a record in the page of its table; the rest is in overflow pages of its own. */
function localBytes(payload: number): number {
  const localMax = PAGE_BYTES - 35
  if (payload <= localMax) return payload
  const localMin = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23
  const remainder = localMin + ((payload - localMin) % (PAGE_BYTES - 4))
  return remainder <= localMax ? remainder : localMin
}

/**
 * Rows fill a page until the next one does not fit, so a row can leave nearly its own size empty before it.
 * Up to a fifth of a page the factor of 1.25 pays for that; above, 1.25 × 1.6 = 2 does.
 */
function packed(cell: number): number {
  return cell <= PAGE_BYTES / 5 ? cell : 1.6 * cell
}
