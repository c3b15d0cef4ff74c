import { type Advice, advise, type Plan, RELIEVED_SHARE } from './advice.ts'
import type { Settings, Written } from './checks.ts'
import { type Origin, type Problem, problem } from './given.ts'
import { formatDuration, formatSize } from './values.ts'

/** The memory of the container beside the settings that bound the memory of the hub. */

/** The settings as they fit into the memory of the machine. */
export interface Fitted {
  readonly settings: Settings
  /** Settings that cannot fit. */
  readonly problems: readonly Problem[]
  /** Settings that were made to fit, or that the operator probably does not mean. */
  readonly warnings: readonly Problem[]
  /** Lines about decisions that the hub took where the operator said nothing. */
  readonly notes: readonly Problem[]
  /** The origins of settings that follow the container, by their keys. */
  readonly origins: ReadonlyMap<string, Origin>
}

/**
 * Lets the memory budget follow the container where the operator has not given it, and the past of a log in memory
 * follow both. `isGiven`: whether the operator has given a setting. `containerBytes`: the memory beyond which the
 * system ends the container without a word; null: no limit.
 */
export function fitMemory(
  settings: Settings,
  isGiven: (key: string) => boolean,
  written: Written,
  containerBytes: number | null,
): Fitted {
  const budgeted =
    containerBytes === null ? unchanged(settings) : budget(settings, isGiven, written, containerBytes)
  const room = roomFor(budgeted.settings, containerBytes)
  const { transport, history } = budgeted.settings
  const wanted = history.maxBytes ?? Number.POSITIVE_INFINITY
  if (transport !== 'memory' || history.maxCount === 0 || room === null || wanted <= room.bytes)
    return budgeted
  const name = written('history.max_bytes')
  const size = history.maxBytes === null ? 'an unlimited past' : formatSize(history.maxBytes)
  const misfit = `in memory does not fit beside the hub into ${room.of}`
  if (isGiven('history.max_bytes')) {
    const way = history.maxBytes === null ? '' : `, or raise ${room.raise(history.maxBytes)}`
    const message = `${size} ${misfit}: give ${formatSize(room.bytes)} at most${way}`
    return { ...budgeted, problems: [problem(name, message)] }
  }
  const bounded = { ...budgeted.settings, history: { ...history, maxBytes: room.bytes } }
  const warning = problem(name, `is ${formatSize(room.bytes)} here, since ${size} ${misfit}`)
  return { ...budgeted, settings: bounded, warnings: [...budgeted.warnings, warning] }
}

/** The plan of the settings under a load. `rate`: updates per second; `size`: bytes of the data of each. */
export function planOf(
  { transport, history, limits }: Settings,
  load: Pick<Plan, 'subscribers' | 'stalled' | 'rate' | 'size'>,
): Plan {
  return {
    transport,
    maxCount: history.maxCount,
    maxAge: history.maxAge === null ? null : history.maxAge / 1000,
    maxBytes: history.maxBytes,
    buffer: limits.subscriberBuffer,
    body: limits.body,
    bodies: limits.bodies,
    patternWeight: limits.patternWeightTotal,
    ...load,
  }
}

/** The memory and the past that the settings come to with a thousand readers, in lines for an operator. */
export function adviceLines(settings: Settings): readonly string[] {
  const subscribers = Math.min(1000, settings.limits.subscribers)
  const load = { subscribers, stalled: 0.01, rate: 100, size: KiB }
  const { usually, most, disk, kept } = advise(planOf(settings, load))
  const assumed = `${subscribers} readers, one in a hundred stalled, and 100 updates of 1 KiB a second`
  return [
    `With ${assumed}:`,
    `  memory: ${mebibytes(usually)} usually, ${mebibytes(most)} at most`,
    `  history: ${pastLine(kept)}${disk === 0 || !Number.isFinite(disk) ? '' : `, ${mebibytes(disk)} of disk at most`}`,
  ]
}

function pastLine({ seconds, binds, rows }: Advice['kept']): string {
  if (rows === 0) return 'none'
  if (binds === 'nothing') return 'everything, without a limit'
  const minutes = Math.max(1, Math.floor(seconds / 60))
  // Whole hours once the minutes say nothing more.
  const shown = minutes < 600 ? minutes * 60_000 : Math.floor(minutes / 60) * 3_600_000
  return `readers may stay away for ${formatDuration(shown)}, then history.max_${binds} ends it`
}

const KiB = 1024

function unchanged(settings: Settings): Fitted {
  return { settings, problems: [], warnings: [], notes: [], origins: new Map() }
}

function budget(
  settings: Settings,
  isGiven: (key: string) => boolean,
  written: Written,
  containerBytes: number,
): Fitted {
  const { limits } = settings
  const has = mebibytes(containerBytes)
  if (isGiven('limits.memory')) {
    if (limits.memory <= containerBytes) return unchanged(settings)
    const message = `${formatSize(limits.memory)} is more than the ${has} of the container, which ends the hub above them`
    return { ...unchanged(settings), warnings: [problem(written('limits.memory'), message)] }
  }
  const memory = budgetWithin(containerBytes)
  const isLeast = memory === LEAST_BUDGET_BYTES
  const text = `${mebibytes(memory)} ${isLeast ? 'at least, though it has' : 'of its'} ${has}`
  return {
    ...unchanged({ ...settings, limits: { ...limits, memory } }),
    notes: [problem('limits.memory', `memory budget follows the container: ${text}`)],
    origins: new Map([['limits.memory', { kind: 'container', name: text }]]),
  }
}

/** The memory that updates may take. */
interface Room {
  readonly bytes: number
  /** The limit that it is the rest of, for the operator. */
  readonly of: string
  /** The limit to raise, and its value, for a past of that size in bytes. */
  readonly raise: (keptBytes: number) => string
}

/** The room within the lower one of both limits; null without any limit. */
function roomFor({ limits }: Settings, containerBytes: number | null): Room | null {
  const container = containerBytes === null ? Number.POSITIVE_INFINITY : budgetWithin(containerBytes)
  const own = limits.memory === 0 ? Number.POSITIVE_INFINITY : limits.memory
  if (containerBytes !== null && container <= own) {
    return {
      bytes: keptWithin(container),
      of: `the ${mebibytes(containerBytes)} of the container`,
      raise: (kept) => `its limit to ${formatSize(roundedUp(neededFor(kept) / CONTAINER_SHARE))}`,
    }
  }
  if (own === Number.POSITIVE_INFINITY) return null
  return {
    bytes: keptWithin(own),
    of: `limits.memory, ${formatSize(own)}`,
    raise: (kept) => `limits.memory to ${formatSize(neededFor(kept))}`,
  }
}

/**
 * Bytes of updates that a budget has room for: a hub at rest stays below the end of shedding, and
 * never all of a large budget, because readers and their buffers need memory too. A hub that has no room for any
 * keeps 1 MiB; the operator knows whether that is enough.
 */
function keptWithin(budgetBytes: number): number {
  const atRest = (budgetBytes * RELIEVED_SHARE - HUB_BYTES) / GROWTH
  return Math.max(LEAST_BYTES, wholeMebibytes(Math.min(atRest, budgetBytes * KEPT_SHARE)))
}

/** The budget in which a past of `keptBytes` fits. */
function neededFor(keptBytes: number): number {
  return roundedUp(Math.max((keptBytes * GROWTH + HUB_BYTES) / RELIEVED_SHARE, keptBytes / KEPT_SHARE))
}

/**
 * The budget in a container. Never so little that a hub at rest would be above the threshold that ends the shedding: it
 * would refuse readers for ever. Half of that minimum are pages of the executable, which are resident and which a
 * container can do without.
 */
function budgetWithin(containerBytes: number): number {
  return Math.max(LEAST_BUDGET_BYTES, Math.floor(containerBytes * CONTAINER_SHARE))
}

function wholeMebibytes(bytes: number): number {
  return Math.floor(bytes / MiB) * MiB
}

function roundedUp(bytes: number): number {
  return Math.ceil(bytes / MiB) * MiB
}

function mebibytes(bytes: number): string {
  return formatSize(Math.max(1, Math.floor(bytes / MiB)) * MiB)
}

const MiB = 2 ** 20

/** The rest is for memory that the kernel counts with the container: sockets, and files that were just written. */
const CONTAINER_SHARE = 0.8

/** Resident memory of a hub that rests after a load, without its past: measured (docs/memory-and-history.md). */
const HUB_BYTES = 75 * MiB

const LEAST_BUDGET_BYTES = roundedUp(HUB_BYTES / RELIEVED_SHARE)

/** Growth of the process in bytes for each byte that the log counts. */
const GROWTH = 1.1

const KEPT_SHARE = 0.6

const LEAST_BYTES = MiB
