import type { SettingRow } from '../../config/effective.ts'
import type { Hub } from '../../hub/hub.ts'
import type { Loop } from '../../hub/loop.ts'
import type { Transport } from '../../hub/transport.ts'
import type { HubLocation } from '../../protocol/topic.ts'
import type { Drive } from '../../protocol/work.ts'
import type { EventStream, StreamOwner } from '../../stream/event-stream.ts'
import type { Counters } from '../../telemetry/counters.ts'
import type { NoticeBoard } from '../../telemetry/notice-board.ts'
import type { Levels } from './series.ts'
import type { Payloads } from './update.ts'

/** The settings of the console at the moment: a reload may change them. */
export interface ConsoleSettings {
  readonly token: string | null
  readonly payloads: Payloads
  readonly actions: boolean
  readonly publicUrls: readonly string[]
}

/** The facts about the hub that do not change while it runs, and its limits. */
export interface About {
  readonly version: string
  readonly commit: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** The URL of the hub. */
  readonly address: string
  readonly transport: string
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
  /** The rules of the history, in the order of their figures. */
  readonly rules: readonly KeptRule[]
  /** The rights for which the hub holds a key that could sign a token; `both` where one token may have both. */
  readonly mints: { readonly publish: boolean; readonly subscribe: boolean; readonly both: boolean }
}

/** A rule of the history. Sizes in bytes, the age in seconds. */
export interface KeptRule {
  readonly match: string
  readonly perTopic: boolean
  readonly maxCount: number | null
  readonly maxAge: number | null
  readonly maxBytes: number | null
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

/** The nodes of a hub beside this one. A hub of one node has none. */
export interface Neighbours {
  /** Never rejects. */
  nodes(): Promise<readonly NodeFigures[]>
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

/** The rights of a token to be made. */
export interface MintRequest {
  readonly publish: readonly string[]
  readonly subscribe: readonly string[]
  /** Seconds. */
  readonly ttl: number
}

/** The entries that a prune is about. */
export interface PruneRequest {
  /** The newest entries to keep of those that match, or null. */
  readonly keepCount: number | null
  /** Seconds that an entry may be old, or null. */
  readonly keepAge: number | null
  /** An exact topic or a URL Pattern; empty: every entry. */
  readonly matches: ((topics: readonly string[]) => boolean) | null
  readonly isDryRun: boolean
}

/** All that the console stands on. It opens nothing itself; the composition hands everything in. */
export interface ConsoleSources {
  readonly settings: () => ConsoleSettings
  readonly about: () => About
  readonly configuration: () => ConfigurationView
  readonly neighbours: Neighbours
  readonly counters: Counters
  /** Never rejects. */
  readonly levels: () => Promise<Levels>
  readonly hub: Pick<Hub, 'audience' | 'end' | 'head' | 'subscribers' | 'subscriberCount' | 'tap'>
  readonly transport: Pick<Transport, 'browse' | 'find' | 'stats'>
  readonly location: HubLocation
  readonly loop: Loop
  /** Milliseconds since the epoch. */
  readonly wall: () => number
  /** Random numbers in [0, 1). */
  readonly random: () => number
  /** Drives work in slices of turns. */
  readonly drive: Drive
  readonly notices: NoticeBoard
  /** Writes a line for the operator: who did it, to which subject and with which outcome. */
  readonly audit: (action: string, fields: Readonly<Record<string, string | number | boolean>>) => void
  /** An event stream, whose owner it tells of its life. */
  readonly openStream: (headers: Headers, owner: StreamOwner) => EventStream
  /** Answers a request as the hub listener does. */
  readonly edge: (request: Request) => Promise<Response>
  readonly explain: (token: string) => Promise<readonly RoleExplanation[]>
  /** Rejects with a plain Error that says why no such token can be made. */
  readonly mint: (asked: MintRequest) => Promise<{ readonly token: string; readonly expiresAt: number }>
  /** Null where the history is in no file. Rejects with a plain Error for the operator. */
  readonly prune:
    | ((asked: PruneRequest) => Promise<{ readonly count: number; readonly bytes: number }>)
    | null
}
