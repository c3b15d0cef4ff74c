import type { BudgetEvent } from './budget.ts'
import type { CloseReason } from './subscriber.ts'

/** What a hub tells about itself, and the limits that it is given. */

/** What happened, for logs and metrics. */
export type HubEvent =
  | BudgetEvent
  /** `ms`: from the update to its place in the log. */
  | { readonly kind: 'published'; readonly ms: number }
  | { readonly kind: 'publish-failed'; readonly problem: string }
  | { readonly kind: 'announcement-failed' }
  | { readonly kind: 'subscribed' }
  | { readonly kind: 'unsubscribed'; readonly reason: CloseReason }
  /** `ms`: how long the oldest entry of a turn waited until its last reader was written to. */
  | { readonly kind: 'delivered'; readonly deliveries: number; readonly ms: number }
  | { readonly kind: 'replayed'; readonly entries: number }

/** Figures of the structures that grow. */
export interface HubGauges {
  readonly subscribers: number
  readonly replaying: number
  /** How far load is being shed: 0 not at all, 4 new connections are refused. */
  readonly shedding: number
  /** Bytes of subscription events that are still to be stored. */
  readonly announcingBytes: number
  readonly pendingEntries: number
  readonly pendingBytes: number
  readonly topics: number
  readonly patterns: number
  readonly remembered: number
}

/** What a hub may hold, and for how long it may hold the loop. */
export interface HubLimits {
  /** Resident memory above which load is shed, in bytes; 0 is no limit. */
  readonly memoryBytes: number
  /** How long the hub may hold the event loop at a time, in milliseconds. */
  readonly sliceMs: number
  /**
   * Bytes of frames that may wait for their dispatch before publishers wait, and of subscription events that may wait
   * to be stored before no subscriber is let in.
   */
  readonly pendingBytes: number
  /** Remembered topics and the patterns they match, in sum. */
  readonly remembered: number
  /** One page of a replay. */
  readonly pageEntries: number
  readonly pageBytes: number
}
