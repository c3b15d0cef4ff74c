import * as reports from './scripts/neighbours.ts'
import type { Script } from './scripts/script.ts'

/** The figures that a node leaves on the server each second, for the others to show. */
export interface NodeReport {
  /** The name that its operator knows it by. */
  readonly name: string
  readonly subscribers: number
  /** Updates per second that it took. */
  readonly published: number
}

/** Another node, as it was when it last extended its lease. */
export interface Neighbour extends NodeReport {
  /** The position that it delivered last. */
  readonly head: number
  /** Seconds since it was heard of. */
  readonly seen: number
}

/** The report as it is stored. */
export function reportText({ name, subscribers, published }: NodeReport, head: number): string {
  return JSON.stringify([name, subscribers, published, head])
}

/** Reads the reports of all nodes but this one. Rejects as `ask` does. */
export async function readNeighbours(
  ask: (script: Script, args: () => readonly string[]) => Promise<readonly unknown[]>,
  self: string,
  leaseMs: number,
  now: () => string,
): Promise<readonly Neighbour[]> {
  const [time = '', ...rows] = (await ask(reports.REPORTS, () => [now()])).map(String)
  const found: Neighbour[] = []
  for (let at = 0; at + 2 < rows.length; at += 3) {
    const [node, lease, text = ''] = rows.slice(at, at + 3)
    const report = node === self || text === '' ? null : parseReport(text)
    if (report !== null) found.push({ ...report, seen: secondsSince(Number(lease) - leaseMs, Number(time)) })
  }
  return found
}

function secondsSince(renewedAt: number, now: number): number {
  return Math.max(0, Math.round((now - renewedAt) / 1000))
}

/** Null for the report of a node of another version that this one does not understand. */
function parseReport(text: string): Omit<Neighbour, 'seen'> | null {
  let parts: unknown
  try {
    parts = JSON.parse(text)
  } catch {
    return null
  }
  if (!Array.isArray(parts)) return null
  const [name, subscribers, published, head] = parts
  const isWhole = [subscribers, published, head].every((each) => typeof each === 'number')
  return typeof name === 'string' && isWhole ? { name, subscribers, published, head } : null
}
