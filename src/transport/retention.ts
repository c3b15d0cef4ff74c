/** How much of the past is kept. Pure decisions: the transports carry them out. */

/** Each limit holds exactly and at all times. `null` is no limit; a count of zero keeps nothing. */
export interface Limits {
  /** The newest entries kept. */
  readonly maxCount: number | null
  /** Older entries are dropped, whether anything is published or not. */
  readonly maxAgeMs: number | null
  /** Stored bytes kept, as the transport counts them. */
  readonly maxBytes: number | null
}

/**
 * Limits of the whole past, and rules for some of it. An entry is kept while it is within the limits of its
 * rule and within those of the whole. When a rule and the whole both have to drop, what is too old goes first,
 * then what the rule drops: that leaves room in the whole.
 */
export interface Retention extends Limits {
  /** In order: an entry belongs to the first rule that selects its canonical topic, or to none. */
  readonly rules?: readonly Rule[]
}

/** What a rule says, without what selects: this much may go to another thread. */
export interface RuleLimits extends Limits {
  /** What the rule selects, as text: stored entries are sorted into the rules again when it changes. */
  readonly name: string
  /** Whether the limits hold for each canonical topic on its own, or for all that the rule selects together. */
  readonly perTopic: boolean
}

/** Limits for the entries whose canonical topic it selects. */
export interface Rule extends RuleLimits {
  /** Whether the canonical topic is selected. Never throws. */
  test(topic: string): boolean
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

/** The index of the rule that an entry with these topics belongs to, or null. */
export function ruleOf(topics: readonly string[], rules: readonly Rule[]): number | null {
  const [canonical] = topics
  if (canonical === undefined) return null
  const index = rules.findIndex((rule) => rule.test(canonical))
  return index === -1 ? null : index
}

/** Whether the oldest entry of all that is held is past one of the limits. */
export function mayDrop(oldest: Kept, held: Amount, now: number, keep: Limits): boolean {
  return exceeds(held, keep) || isExpired(oldest.at, now, keep)
}

/** Whether more is held than the limits by count and bytes allow. */
export function exceeds(held: Amount, keep: Limits): boolean {
  if (keep.maxCount !== null && held.count > keep.maxCount) return true
  return keep.maxBytes !== null && held.bytes > keep.maxBytes
}

/** Whether an entry accepted at `at` is older than the past that is kept. */
export function isExpired(at: number, now: number, keep: Limits): boolean {
  return keep.maxAgeMs !== null && at <= now - keep.maxAgeMs
}

/**
 * Whether it is the rule that ends the life of its entries by age. When the whole past is no longer than that,
 * the limit of the whole does, and what it drops counts as the start of the log that is gone.
 */
export function endsByAge(rule: Limits, whole: Limits): boolean {
  return rule.maxAgeMs !== null && (whole.maxAgeMs === null || rule.maxAgeMs < whole.maxAgeMs)
}

/**
 * How much of what is held must go, given its oldest entries in order. When the answer counts all of them,
 * there may be more: drop them and ask again with the next ones.
 */
export function toDrop(oldest: Iterable<Kept>, held: Amount, now: number, keep: Limits): Amount {
  let dropped: Amount = { count: 0, bytes: 0 }
  for (const kept of oldest) {
    if (!mayDrop(kept, minus(held, dropped), now, keep)) break
    dropped = plus(dropped, kept)
  }
  return dropped
}

/** What is held with one entry more. */
export function plus(held: Amount, { bytes }: Pick<Kept, 'bytes'>): Amount {
  return { count: held.count + 1, bytes: held.bytes + bytes }
}

/** What is left of `held` without `dropped`. */
export function minus(held: Amount, dropped: Amount): Amount {
  return { count: held.count - dropped.count, bytes: held.bytes - dropped.bytes }
}
