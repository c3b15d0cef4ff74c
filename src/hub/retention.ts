/** How much of the past is kept. Pure decisions: the transports carry them out. */

/** Each limit holds exactly and at all times. `null` is no limit; a count of zero keeps nothing. */
export interface Retention {
  /** The newest entries kept. */
  readonly maxCount: number | null
  /** Older entries are dropped, whether anything is published or not. */
  readonly maxAgeMs: number | null
  /** Stored bytes kept, as the transport counts them. */
  readonly maxBytes: number | null
}

/** What one entry looks like to retention. */
export interface Kept {
  /** When it was accepted, in milliseconds. */
  readonly at: number
  /** Its stored bytes. */
  readonly bytes: number
}

/** A number of entries and their stored bytes in sum. */
export interface Amount {
  readonly count: number
  readonly bytes: number
}

/** Whether the oldest entry of all that is held is past one of the limits. */
export function mayDrop(oldest: Kept, held: Amount, now: number, keep: Retention): boolean {
  return exceeds(held, keep) || isExpired(oldest.at, now, keep)
}

/** Whether more is held than the limits by count and bytes allow. */
export function exceeds(held: Amount, keep: Retention): boolean {
  if (keep.maxCount !== null && held.count > keep.maxCount) return true
  return keep.maxBytes !== null && held.bytes > keep.maxBytes
}

/** Whether an entry accepted at `at` is older than the past that is kept. */
export function isExpired(at: number, now: number, keep: Retention): boolean {
  return keep.maxAgeMs !== null && at <= now - keep.maxAgeMs
}

/**
 * How much of what is held must go, given its oldest entries in order. When the answer counts all of them,
 * there may be more: drop them and ask again with the next ones.
 */
export function toDrop(oldest: Iterable<Kept>, held: Amount, now: number, keep: Retention): Amount {
  let dropped: Amount = { count: 0, bytes: 0 }
  for (const kept of oldest) {
    if (!mayDrop(kept, minus(held, dropped), now, keep)) break
    dropped = { count: dropped.count + 1, bytes: dropped.bytes + kept.bytes }
  }
  return dropped
}

/** What is left of `held` without `dropped`. */
export function minus(held: Amount, dropped: Amount): Amount {
  return { count: held.count - dropped.count, bytes: held.bytes - dropped.bytes }
}
