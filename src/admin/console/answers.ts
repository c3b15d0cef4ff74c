import type { SettingRow } from '../../config/effective.ts'
import type { BoardNotice } from '../../telemetry/notice-board.ts'

/**
 * The answers of the API as JSON. The hub makes them and the page reads them, each checked against these shapes by its own
 * compilation. The page imports types alone.
 */

/** The figures of a sample. Rates are per second, times in milliseconds, `oldestAge` in seconds, the rest levels. */
export const sampleNames = [
  ...['subscribers', 'replaying', 'published', 'failed', 'delivered', 'replayed'],
  ...['publishP50', 'publishP99', 'deliveryP50', 'deliveryP99', 'resident', 'waiting', 'pending'],
  ...['rows', 'bytes', 'oldestAge', 'fileBytes', 'lag', 'shedding', 'slow', 'refused'],
] as const

export type SampleName = (typeof sampleNames)[number]

/** All figures of one moment. */
export type Sample = Readonly<Record<SampleName, number>>

/** The event `sample` of the feed. */
export interface SampleEvent extends Sample {
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** The event `updates` of the feed: a fair sample of what passed since the one before. */
export interface UpdatesEvent {
  /** The number of all that passed. */
  readonly seen: number
  readonly items: readonly ShownUpdate[]
}

/** The samples of the last hour, each figure oldest first. */
export interface SeriesView {
  /** Seconds between two samples. */
  readonly every: number
  /** When the last sample was taken, in milliseconds since the epoch. */
  readonly until: number
  readonly series: Readonly<Record<SampleName, readonly number[]>>
}

/** The facts about the hub that do not change while it runs, and its limits. */
export interface HubFacts {
  readonly version: string
  readonly commit: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** The URL of the hub. */
  readonly address: string
  readonly transport: 'sqlite' | 'memory' | 'local' | 'redis'
  readonly node: string
  /** Sizes in bytes, the age in seconds; null is no limit. */
  readonly limits: {
    readonly memory: number
    readonly subscribers: number
    readonly subscriberBuffer: number
    readonly body: number
    readonly bodies: number
    readonly patternWeight: number
    readonly maxCount: number | null
    readonly maxAge: number | null
    readonly maxBytes: number | null
  }
}

/** The rights for which the hub holds a key that could sign a token; `both` where one token may have both. */
export interface Mints {
  readonly publish: boolean
  readonly subscribe: boolean
  readonly both: boolean
}

/** One node of the hub, as this one knows it. */
export interface NodeFigures {
  readonly id: string
  readonly self: boolean
  readonly subscribers: number
  /** Updates per second. */
  readonly published: number
  readonly head: number
  /** Seconds since it was heard of. */
  readonly seen: number
}

/** The hub, and what its console may do. */
export interface HubView extends HubFacts {
  readonly may: {
    readonly act: boolean
    readonly mint: boolean
    readonly mints: Mints
    readonly prune: boolean
    readonly payloads: Payloads
  }
  readonly nodes: readonly NodeFigures[]
  /** Newest first. */
  readonly notices: readonly BoardNotice[]
  /** The number of warnings about the configuration. */
  readonly warnings: number
}

/** Whose data is shown. */
export type Payloads = 'none' | 'public' | 'all'

/** An update as the page gets it. */
export interface ShownUpdate {
  /** Its position. */
  readonly p: number
  readonly id: string
  /** When it was accepted, in milliseconds since the epoch. */
  readonly at: number
  /** The canonical one first; a list has the first few, cut where they are long. */
  readonly topics: readonly string[]
  /** The number of all its topics. */
  readonly topicCount: number
  readonly type: string | null
  readonly private: boolean
  /** Bytes of the event on the wire. */
  readonly bytes: number
  /** Null where it may not be shown. */
  readonly data: string | null
  /** Whether there is more of the data. */
  readonly truncated: boolean
}

/** A page of the past, newest first. */
export interface PastPage {
  readonly head: number
  readonly rows: readonly ShownUpdate[]
  /** The entries that were looked at for it. */
  readonly scanned: number
  /** The position before which to go on; null at the beginning of the past. */
  readonly next: number | null
}

/** One stream as the page gets it. */
export interface SubscriberRow {
  readonly id: string
  readonly matchers: readonly { readonly type: string; readonly pattern: string }[]
  readonly state: 'live' | 'catching-up' | 'ended'
  /** Entries of the log that it has yet to see. */
  readonly behind: number
  /** Milliseconds since the epoch. */
  readonly openedAt: number
  /** Bytes that wait for it. */
  readonly waiting: number
  /** The same eight characters for the same holder, until the hub ends; null for nobody in particular. */
  readonly holder: string | null
  /** The payload of its subscriptions as JSON, where it may be shown. */
  readonly payload: string | null
  readonly expiresAt: number | null
}

/** A page of streams. */
export interface SubscriberPage {
  readonly total: number
  readonly matched: number
  readonly rows: readonly SubscriberRow[]
  /** For the next page; null on the last. */
  readonly next: string | null
}

/** A rule of the history. Sizes in bytes, the age in seconds. */
export interface KeptRule {
  readonly match: string
  readonly perTopic: boolean
  readonly maxCount: number | null
  readonly maxAge: number | null
  readonly maxBytes: number | null
}

/** A rule with what it keeps at the moment. */
export interface RuleFigures extends KeptRule {
  readonly rows: number
  readonly bytes: number
}

/** The topics of the moment, and the rules of the history. */
export interface TopicPage {
  /** Since when topics are counted, in milliseconds since the epoch. */
  readonly since: number
  /** Updates that were counted. */
  readonly counted: number
  /** Topics that are not shown, as far as they are known. */
  readonly others: number
  readonly hottest: readonly {
    readonly topic: string
    readonly perSecond: number
    readonly readers: number
    readonly bytes: number
  }[]
  readonly rules: readonly RuleFigures[]
}

/** Who would get an update. */
export interface Audience {
  /** Live readers that ask for one of its topics. */
  readonly matching: number
  /** Those of them that may read it. */
  readonly permitted: number
  /** Some that may not, and why. */
  readonly refused: readonly { readonly matcher: string; readonly why: string }[]
}

/** The configuration in effect. */
export interface ConfigurationView {
  readonly file: string | null
  readonly loadedAt: number
  /** Settings that were changed and wait for a restart. */
  readonly needRestart: readonly string[]
  readonly warnings: readonly { readonly setting: string; readonly message: string }[]
  readonly rows: readonly SettingRow[]
}

/** How a token fares for one role. */
export interface RoleExplanation {
  readonly role: string
  readonly accepted: boolean
  readonly findings: readonly { readonly check: string; readonly ok: boolean; readonly detail: string }[]
  readonly grants: readonly string[]
}

/** How a token fares. */
export interface Explanation {
  readonly roles: readonly RoleExplanation[]
}

/** A token that was made. */
export interface MintedToken {
  readonly token: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** The updates that a prune removed, or would remove. */
export interface PruneOutcome {
  readonly count: number
  readonly bytes: number
}
