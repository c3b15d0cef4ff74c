import type { Envelope } from '../protocol/update.ts'

declare const position: unique symbol

/**
 * Where an entry stands in the log of the whole hub. Only its order means something: a safe integer that
 * grows with every entry, also across restarts and nodes, and that is never used twice.
 */
export type Position = number & { readonly [position]: true }

/** The place before every kept entry. Reading from here is never `lost`. */
export const START = 0 as Position

/** A sealed update in the log. */
export interface Entry extends Envelope {
  readonly position: Position
}

/** An entry with the time at which the log accepted it, in milliseconds of the log's own time. */
export interface DatedEntry extends Entry {
  readonly at: number
}

/** The newest end of the log. */
export interface Head {
  readonly position: Position
  /** The id of the newest entry that ever was, whether the log still keeps it or not; null in a new log. */
  readonly id: string | null
}

/** A stretch of the log, oldest first. */
export interface Page {
  readonly entries: readonly Entry[]
  /** Where to read on: the last entry's position, or `until` when nothing more is before it. */
  readonly next: Position
}

/** The limits of one page. A page holds at least one entry, of any size. */
export interface PageLimit {
  readonly entries: number
  /** Bytes of frames. */
  readonly bytes: number
}

/** An append-only log that every node of the hub shares, with a bounded past. */
export interface Transport {
  /**
   * Starts tailing. `onEntry` sees every later entry of any node once, in log order, and none before `open` has
   * resolved; an append made from inside `onEntry` is delivered after the current entry. `onLost`: the tail lost its
   * place (a trimmed or replaced log), missed entries, and goes on after `head`, whose id is null where nobody knows
   * it. Positions of a replaced log may begin anew. `drained` resolves when the hub can take more entries, and is null
   * when it can: a log that others write to waits for that. Rejects with a plain Error that an operator can act on.
   */
  open(
    onEntry: (entry: Entry) => void,
    onLost: (head: Head) => void,
    drained?: () => Promise<void> | null,
  ): Promise<Head>
  /**
   * Resolves when the envelope is as durable as this log promises, after its `onEntry`.
   * Rejects with a ProtocolError: `store-full`, `store-failed`, or `store-unavailable` when not open.
   */
  append(envelope: Envelope): Promise<void>
  /**
   * Where the earliest entry with this id stands, or null when it never existed or the log has forgotten its place.
   * An entry that its own rule dropped keeps its place while the log keeps what surrounds it, within the limits of
   * `placeLimits`: a reader that comes back with its id gets everything after it that is kept.
   */
  find(id: string): Promise<Position | null>
  /**
   * Entries in (after, until], oldest first. `lost` when the limits of the whole past dropped entries after
   * `after`, unless that is START. Entries that a rule dropped do not count: the rule says that nobody wants them
   * any more. Rejects with `store-unavailable` when the log cannot be read.
   */
  read(after: Position, until: Position, limit: PageLimit): Promise<Page | 'lost'>
  /**
   * The newest kept entries before the position, newest first, for a person who looks at the past; at least one where
   * there is one. Absent where the log cannot. Rejects as `read` does.
   */
  browse?(before: Position, limit: PageLimit): Promise<readonly DatedEntry[]>
  /** Figures of this moment, for metrics and the console. Rejects with `store-unavailable` when the log cannot say. */
  stats(): Promise<TransportStats>
  /** Resolves when the log can accept an append; rejects with the reason when it cannot. */
  check(): Promise<void>
  /**
   * Waits for appends under way, then lets go of everything. Further calls reject. Rejects when it had to leave the log
   * as it is: then the process must end, and nobody may try to close the log again.
   */
  close(): Promise<void>
}

/** The content of a log at a moment, in figures. */
export interface TransportStats {
  readonly rows: number
  /** The number of entries since the log began that it keeps no more, dropped for any reason. */
  readonly dropped: number
  /** The stored bytes as retention counts them, those of places included. */
  readonly bytes: number
  /** When the log accepted the oldest kept entry, in milliseconds of its own time; null when it is empty. */
  readonly oldestAt: number | null
  /** The log's own time, which differs from the wall clock once that was set. */
  readonly now: number
  /** The figures of each rule of the retention, in order; absent without rules. */
  readonly rules?: readonly RuleStats[]
  /** The number of entries that a rule or a tool dropped and whose places the log remembers; absent where it cannot. */
  readonly places?: number
  /** Bytes on disk: the file and its journal. Zero for a log in memory. */
  readonly fileBytes: number
  /** Bytes of these that are the journal; absent for a log in memory. */
  readonly journalBytes?: number
  /** The times that the log looked for entries that are too old, since it was opened. */
  readonly retentionRuns?: number
}

/** The entries of a log that belong to one rule, in figures. */
export interface RuleStats {
  readonly rows: number
  readonly bytes: number
}
