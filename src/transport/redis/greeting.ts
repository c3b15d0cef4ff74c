import type { Head, Position } from '../../hub/transport.ts'
import type { Retention } from '../retention.ts'
import { rulesText, selectionText } from './rules.ts'
import { HELLO } from './scripts/hello.ts'
import type { Session } from './session.ts'

/** Where a node is in the log when it says hello, and what it brings. */
export interface Introduction {
  /** The time for the script; empty: that of the server. */
  readonly now: string
  readonly node: string
  /** The log and the run of the server that the node has followed; empty at first. */
  readonly log: string
  readonly run: string
  /** The furthest entry that the node has delivered, read or found. */
  readonly position: number
  readonly id: string
  /** Limits for a log that is new. */
  readonly limits: Retention
  /** Whether these limits are to hold for a log that is there as well. */
  readonly isApplied: boolean
  /** How much the tail keeps for nodes that are away. */
  readonly window: { readonly ms: number; readonly bytes: number }
}

/** The answer of the log. */
export interface Greeting {
  /** The name of the session: batches go under it, and none goes under an earlier one any more. */
  readonly session: string
  readonly log: string
  readonly head: Head
  /** Whether the log has lost what the node has seen, or told of a loss meanwhile. */
  readonly isLost: boolean
  /** The number of the node's newest batch that the log knows. */
  readonly known: number
  /** The rules of the log, and their generation. */
  readonly rules: string
  readonly generation: string
  /** Whether the node is the first to find this run of the server. */
  readonly isFork: boolean
  /** The names of the limits that were others before. */
  readonly changed: readonly string[]
}

/** Says hello. Rejects with a plain Error for a log of a newer version. */
export async function sayHello(session: Session, introduction: Introduction): Promise<Greeting> {
  const { now, node, log, run, position, id, limits, isApplied, window } = introduction
  const written = writtenLimits(limits)
  const name = crypto.randomUUID()
  const answer = await session.script('write', HELLO, [
    ...[now, session.run, node, log, run, String(position), id, name],
    isApplied ? '1' : '0',
    ...written.map(([, limit]) => limit),
    selectionText(limits),
    ...[String(window.ms), String(window.bytes)],
  ])
  const [status, logName, head, headId, isLost, generation, rules, known, , isFork, before] = answer
  if (String(status) === 'VERSION')
    throw new Error(`the log is of version ${logName}, which this version cannot read`)
  if (String(status) !== 'OK') throw new Error('the server does not know the log')
  const old = isApplied && Array.isArray(before) ? before.map(String) : []
  return {
    session: name,
    log: String(logName),
    head: headOf(head, headId),
    isLost: String(isLost) === '1',
    known: Number(known),
    rules: String(rules),
    generation: String(generation),
    isFork: String(isFork) === '1',
    changed: old.flatMap((limit, at) => (limit === written[at]?.[1] ? [] : [written[at]?.[0] ?? ''])),
  }
}

/** The head of the log as a script answers it: the id is empty where nobody knows it. */
export function headOf(position: unknown, id: unknown): Head {
  return { position: Number(position) as Position, id: String(id) === '' ? null : String(id) }
}

function writtenLimits(limits: Retention): readonly (readonly [name: string, text: string])[] {
  return [
    ['max_count', String(limits.maxCount ?? '')],
    ['max_age', String(limits.maxAgeMs ?? '')],
    ['max_bytes', String(limits.maxBytes ?? '')],
    ['rules', rulesText(limits)],
  ]
}
