import type { Envelope } from '../protocol/update.ts'

declare const position: unique symbol

/**
 * Where an entry stands in the log of the whole hub. Only its order means something: a safe integer that
 * grows with every entry, also across restarts and nodes, and that is never used twice.
 */
export type Position = number & { readonly [position]: true }

/** Before everything that is still kept. Reading from here is never `lost`. */
export const START = 0 as Position

/** A sealed update in the log. */
export interface Entry extends Envelope {
  readonly position: Position
}

/** The newest end of the log. */
export interface Head {
  readonly position: Position
  /** The id of the newest entry that ever was, kept or not; null in a new log. */
  readonly id: string | null
}

/** A stretch of the log, oldest first. */
export interface Page {
  readonly entries: readonly Entry[]
  /** Where to read on: the last entry's position, or `until` when nothing more is before it. */
  readonly next: Position
}

/** How much one page may hold. At least one entry is read, however large. */
export interface PageLimit {
  readonly entries: number
  /** Bytes of frames. */
  readonly bytes: number
}

/** An append-only log that every node of the hub shares, with a bounded past. */
export interface Transport {
  /**
   * Starts tailing. `onEntry` sees every later entry once, in log order, whoever appended it; an append made
   * from inside `onEntry` is delivered after the current entry. `onLost`: the tail lost its place (a trimmed
   * or replaced log), entries were missed, and it goes on after `head`. Positions of a replaced log may begin
   * anew. Rejects with a plain Error that an operator can act on.
   */
  open(onEntry: (entry: Entry) => void, onLost: (head: Head) => void): Promise<Head>
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
   * `after`, unless that is START. What a rule dropped is not missed: the rule says that it is not wanted any
   * more. Rejects with `store-unavailable` when the log cannot be read.
   */
  read(after: Position, until: Position, limit: PageLimit): Promise<Page | 'lost'>
  /** Figures of this moment, for metrics and the console. Rejects with `store-unavailable` when it cannot say. */
  stats(): Promise<TransportStats>
  /** Resolves when the log can accept an append; rejects with the reason when it cannot. */
  check(): Promise<void>
  /**
   * Waits for appends under way, then lets go of everything. Further calls reject. Rejects when it had to leave the log
   * as it is: then the process is to end without anybody trying to close it again.
   */
  close(): Promise<void>
}

/** What a log holds now. */
export interface TransportStats {
  readonly rows: number
  /** Entries that came since the log began and are not kept any more, whatever dropped them. */
  readonly dropped: number
  /** Stored bytes as retention counts them, those of places included. */
  readonly bytes: number
  /** When the oldest kept entry was accepted, in milliseconds of the log's own time; null when empty. */
  readonly oldestAt: number | null
  /** The log's own time, which is not what the wall clock shows once that was set. */
  readonly now: number
  /** The same for each rule of the retention, in order; absent without rules. */
  readonly rules?: readonly RuleStats[]
  /** Entries that a rule or a tool dropped and whose places are remembered; absent where that cannot be. */
  readonly places?: number
  /** Bytes on disk: the file and its journal. Zero for a log in memory. */
  readonly fileBytes: number
}

/** What a log holds of one rule. */
export interface RuleStats {
  readonly rows: number
  readonly bytes: number
}
