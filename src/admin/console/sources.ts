import type { Hub } from '../../hub/hub.ts'
import type { Loop } from '../../hub/loop.ts'
import type { Transport } from '../../hub/transport.ts'
import type { HubLocation } from '../../protocol/topic.ts'
import type { Drive } from '../../protocol/work.ts'
import type { EventStream, StreamOwner } from '../../stream/event-stream.ts'
import type { Counters } from '../../telemetry/counters.ts'
import type { NoticeBoard } from '../../telemetry/notice-board.ts'
import type {
  ConfigurationView,
  HubFacts,
  KeptRule,
  MintedToken,
  Mints,
  NodeFigures,
  Payloads,
  PruneOutcome,
  RoleExplanation,
} from './answers.ts'
import type { Levels } from './series.ts'

/** The settings of the console at the moment: a reload may change them. */
export interface ConsoleSettings {
  readonly token: string | null
  readonly payloads: Payloads
  readonly actions: boolean
  readonly publicUrls: readonly string[]
}

/** The facts about the hub, and what it could sign. */
export interface About extends HubFacts {
  /** The rules of the history, in the order of their figures. */
  readonly rules: readonly KeptRule[]
  readonly mints: Mints
}

/** The nodes of a hub beside this one. A hub of one node has none. */
export interface Neighbours {
  /** Never rejects. */
  nodes(): Promise<readonly NodeFigures[]>
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
  readonly mint: (asked: MintRequest) => Promise<MintedToken>
  /** Null where the history is in no file. Rejects with a plain Error for the operator. */
  readonly prune: ((asked: PruneRequest) => Promise<PruneOutcome>) | null
}
