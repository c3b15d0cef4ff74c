/** Decides how much of the past a log keeps. Pure decisions: the transports carry them out. */

/** Each limit holds exactly and at all times. `null` is no limit; a count of zero keeps nothing. */
export interface Limits {
  /** The number of newest entries that are kept. */
  readonly maxCount: number | null
  /** The age at which the log drops entries, also while nobody publishes. */
  readonly maxAgeMs: number | null
  /** Stored bytes kept, as the transport counts them. */
  readonly maxBytes: number | null
}

/**
 * Limits of the whole past, and rules for some of it. An entry is kept while it is within the limits of its
 * rule and within those of the whole. When a rule and the whole both have to drop, entries that are too old go first,
 * then those that the rule drops: that leaves room in the whole.
 */
export interface Retention extends Limits {
  /** The rules in order: an entry belongs to the first one that selects its canonical topic, or to none. */
  readonly rules?: readonly Rule[]
}

/** A rule without the function that selects: this much may go to another thread. */
export interface RuleLimits extends Limits {
  /** The selection of the rule as text: when it changes, the log sorts stored entries into the rules again. */
  readonly name: string
  /** Whether the limits hold for each canonical topic on its own, or for all that the rule selects together. */
  readonly perTopic: boolean
  /**
   * Whether its entries have room of their own: they count against the rule's limits and not against those of the
   * whole, so that neither pushes the other out. Entries that the rule drops leave no place behind.
   */
  readonly isApart?: boolean
}

/** Limits for the entries whose canonical topic it selects. */
export interface Rule extends RuleLimits {
  /** Whether the canonical topic is selected. Never throws. */
  test(topic: string): boolean
}

/** One entry as retention sees it. */
export interface Kept {
  /** When the log accepted it, in milliseconds. */
  readonly at: number
  /** Its stored bytes. */
  readonly bytes: number
  /** Whether only its place is left, which counts in bytes alone. */
  readonly isPlace?: boolean
  /** Whether it counts against the limits of its own rule alone. */
  readonly isApart?: boolean
}

/** A number of entries and their stored bytes in sum. */
export interface Amount {
  readonly count: number
  readonly bytes: number
}

/**
 * The limits of the places that a log remembers of entries which their rules dropped, so that a reader whose last
 * event was one of them goes on from there. A place goes once the front of the log has passed it, by age like an
 * entry of the whole, and when there are too many: the oldest first. The bytes of places count in those of the
 * whole, and are an eighth of them at most, so that ids of a busy topic push little else out of the past.
 */
export function placeLimits({ maxCount, maxAgeMs, maxBytes }: Limits): Limits {
  return {
    maxCount: maxCount ?? PLACES_MAX,
    maxAgeMs,
    maxBytes: maxBytes === null ? null : Math.floor(maxBytes / 8),
  }
}

/** The limit of places where the number of entries has no limit. */
const PLACES_MAX = 100_000

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
 * The amount that must go, given the oldest held entries and places in order. When the answer counts all of
 * these, there may be more: drop them and ask again with the next ones.
 */
export function toDrop(oldest: Iterable<Kept>, held: Amount, now: number, keep: Limits): Amount {
  let dropped: Amount = { count: 0, bytes: 0 }
  let left = held
  for (const kept of oldest) {
    if (!mayDrop(kept, left, now, keep)) break
    left = minus(left, counted(kept))
    dropped = plus(dropped, kept)
  }
  return dropped
}

/** The amount by which the whole is less without it. */
function counted({ isPlace, isApart, bytes }: Kept): Amount {
  return isApart === true ? { count: 0, bytes: 0 } : { count: isPlace === true ? 0 : 1, bytes }
}

/** Two amounts in sum. */
export function sum(one: Amount, other: Amount): Amount {
  return { count: one.count + other.count, bytes: one.bytes + other.bytes }
}

/** The held amount with one entry more. */
export function plus(held: Amount, { bytes }: Pick<Kept, 'bytes'>): Amount {
  return { count: held.count + 1, bytes: held.bytes + bytes }
}

/** The amount that is left of `held` without `dropped`. */
export function minus(held: Amount, dropped: Amount): Amount {
  return { count: held.count - dropped.count, bytes: held.bytes - dropped.bytes }
}
