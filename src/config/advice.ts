/**
 * The memory and the disk that a configuration may come to, usually and at most, and the limit that ends the past. Pure
 * and without imports: `check`, the warnings of a start and the page of the console compute the same.
 */

/** A configuration with the load that it meets. Sizes in bytes. */
export interface Plan {
  readonly transport: 'sqlite' | 'memory' | 'local' | 'redis'
  /** The limits of the history; the age in seconds, null is no limit. */
  readonly maxCount: number | null
  readonly maxAge: number | null
  readonly maxBytes: number | null
  readonly subscribers: number
  /** The share of them that takes nothing, 0 to 1. */
  readonly stalled: number
  /** `limits.subscriber_buffer`. */
  readonly buffer: number
  /** `limits.body`, and `limits.bodies` for all that are being received. */
  readonly body: number
  readonly bodies: number
  /** `limits.pattern_weight_total`. */
  readonly patternWeight: number
  /** Updates per second, and the bytes of the data of each. */
  readonly rate: number
  readonly size: number
}

/** A part of the memory. */
export interface Part {
  readonly name: string
  readonly usually: number
  readonly most: number
  readonly why: string
}

/** The limit that is reached first. */
export type Binding = 'count' | 'age' | 'bytes' | 'nothing'

/** The past that is kept once the limits are reached. */
export interface Kept {
  readonly rows: number
  readonly bytes: number
  /** How long a reader may stay away and miss nothing. */
  readonly seconds: number
  readonly binds: Binding
}

/** All figures of a plan. Sizes in bytes. */
export interface Advice {
  readonly parts: readonly Part[]
  readonly usually: number
  readonly most: number
  /** The value of `limits.memory` with which the hub never has to shed load. */
  readonly budget: number
  /** Bytes that the kernel may hold for stalled readers, outside of the process. */
  readonly kernel: number
  readonly kept: Kept
  /** The history file and its journal at most. */
  readonly disk: number
}

/** Computes the figures. They are measured ones (docs/memory-and-history.md), and a test holds them against a hub. */
export function advise(plan: Plan): Advice {
  const kept = keptBy(plan)
  const parts = partsOf(plan, kept)
  const most = sumOf(parts, ({ most }) => most)
  const stalled = stalledOf(plan)
  const file = plan.maxBytes === null ? kept.bytes : Math.min(kept.bytes, plan.maxBytes)
  return {
    parts,
    usually: sumOf(parts, ({ usually }) => usually),
    most,
    budget: most / RELIEVED_SHARE,
    kernel: stalled * Math.max(4 * plan.buffer, plan.body),
    kept,
    disk: plan.transport === 'sqlite' ? 1.25 * file + 8 * MiB : 0,
  }
}

/** Resident memory of a busy hub without readers, at most, in bytes. */
export const LOADED_HUB_BYTES = 100 * 2 ** 20

/** Shedding ends below this share of `limits.memory`. */
export const RELIEVED_SHARE = 0.8

const KiB = 1024
const MiB = 1024 * KiB

/** Bytes around the data of an update of usual length: id, topics, framing and the row. */
const ROW_OVERHEAD = 212

function keptBy({ transport, maxCount, maxAge, maxBytes, rate, size }: Plan): Kept {
  const row = size + ROW_OVERHEAD
  const nothing: Kept = { rows: 0, bytes: 0, seconds: 0, binds: 'count' }
  if (transport === 'local' || maxCount === 0) return nothing
  const ends: (readonly [Binding, number])[] = []
  if (maxCount !== null) ends.push(['count', maxCount / rate])
  if (maxAge !== null) ends.push(['age', maxAge])
  if (maxBytes !== null) ends.push(['bytes', maxBytes / (rate * row)])
  ends.sort((left, right) => left[1] - right[1])
  const [binds, seconds] = ends[0] ?? ['nothing', Number.POSITIVE_INFINITY]
  return { rows: seconds * rate, bytes: seconds * rate * row, seconds, binds }
}

function partsOf(plan: Plan, kept: Kept): readonly Part[] {
  const stalled = stalledOf(plan)
  const hasPast = plan.transport !== 'local' && plan.maxCount !== 0
  const parts: Part[] = [
    {
      name: 'The hub under load',
      usually: 85 * MiB,
      most: LOADED_HUB_BYTES,
      why: 'measured, without readers',
    },
    {
      name: 'Open streams',
      usually: plan.subscribers * 6 * KiB,
      most: plan.subscribers * 9 * KiB,
      why: '6 KiB each, 9 at most',
    },
    {
      name: 'Waiting for stalled readers',
      usually: stalled === 0 ? 0 : plan.buffer + stalled * 64 * KiB,
      most: stalled * (plan.buffer + 64 * KiB),
      why: 'shared where readers want the same; each its own at most',
    },
    { name: 'Accepted, not yet written', usually: 0, most: 16 * MiB, why: 'then publishers wait' },
    { name: 'Bodies being received', usually: 0, most: plan.bodies, why: 'limits.bodies' },
    {
      name: 'Tokens, topics and patterns',
      usually: 3 * MiB,
      most: 16 * MiB + 256 * plan.patternWeight,
      why: '10,000 tokens, 100,000 topics, limits.pattern_weight_total',
    },
  ]
  if (hasPast)
    parts.push({
      name: 'Readers that catch up',
      usually: plan.subscribers === 0 ? 0 : 2 * MiB,
      most: Math.max(plan.subscribers === 0 ? 0 : 16 * MiB, plan.subscribers * 16 * KiB),
      why: '16 MiB together, never under 16 KiB each',
    })
  if (plan.transport === 'memory')
    parts.push({
      name: 'History in memory',
      usually: kept.bytes,
      // Records move while others are dropped.
      most: 1.25 * Math.min(kept.bytes, plan.maxBytes ?? kept.bytes),
      why: 'what is kept, and a quarter for what has just gone',
    })
  return parts
}

function stalledOf({ subscribers, stalled }: Plan): number {
  return Math.round(subscribers * stalled)
}

function sumOf(parts: readonly Part[], of: (part: Part) => number): number {
  return parts.reduce((sum, part) => sum + of(part), 0)
}
