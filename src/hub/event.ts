import type { BudgetEvent } from './budget.ts'
import type { CloseReason } from './subscriber.ts'

/** The events and figures that a hub reports, and its limits. */

/** An event, for logs and metrics. */
export type HubEvent =
  | BudgetEvent
  /** `ms`: the time from the update to its place in the log. */
  | { readonly kind: 'published'; readonly ms: number }
  | { readonly kind: 'publish-failed'; readonly problem: string }
  | { readonly kind: 'announcement-failed' }
  | { readonly kind: 'subscribed' }
  | { readonly kind: 'unsubscribed'; readonly reason: CloseReason }
  /** `ms`: the time that the oldest entry of a turn waited until it was written to its last reader. */
  | { readonly kind: 'delivered'; readonly deliveries: number; readonly ms: number }
  | { readonly kind: 'replayed'; readonly entries: number }

/** Figures of the structures that grow. */
export interface HubGauges {
  readonly subscribers: number
  readonly replaying: number
  /** How far the hub sheds load: 0 not at all, 4 it refuses new connections. */
  readonly shedding: number
  /** Bytes of subscription events that are still to be stored. */
  readonly announcingBytes: number
  readonly pendingEntries: number
  readonly pendingBytes: number
  readonly topics: number
  readonly patterns: number
  readonly remembered: number
}

/** The limits on the memory of a hub, and on the time for which it may hold the loop. */
export interface HubLimits {
  /** Resident memory above which the hub sheds load, in bytes; 0 is no limit. */
  readonly memoryBytes: number
  /** The time for which the hub may hold the event loop at once, in milliseconds. */
  readonly sliceMs: number
  /**
   * Bytes of frames that may wait for their dispatch before publishers wait, and of subscription events that may wait
   * to be stored before the hub lets no subscriber in.
   */
  readonly pendingBytes: number
  /** Remembered topics and the patterns they match, in sum. */
  readonly remembered: number
  /** The entries of one page of a replay. */
  readonly pageEntries: number
  readonly pageBytes: number
}
