import type { Frame } from '../protocol/event-stream.ts'
import type { Envelope } from '../protocol/update.ts'
import type { LogFigures, LogTool, Outline } from '../transport/redis/tool.ts'
import type { RedisTransport } from '../transport/redis/transport.ts'
import { type Amount, mayDrop, sum } from '../transport/retention.ts'
import { HistoryProblem } from './file.ts'
import type { Found, NewEntry } from './import.ts'
import type { PruneOptions } from './prune.ts'
import type { EntryMark } from './stats.ts'
import { type TopicShare, TopicShares } from './topic-shares.ts'

/** The tools on a log that several hubs share on a server, also while hubs run on it. */

/** The figures of a log on a server. */
export interface ServerStats extends LogFigures {
  /** Where the log is, without secrets. */
  readonly server: string
  readonly oldest: EntryMark | null
  readonly newest: EntryMark | null
  readonly topicCount: number
  readonly topicsByRows: readonly TopicShare[]
  readonly topicsByBytes: readonly TopicShare[]
}

/** Looks at the log, with the `top` topics that take most of it. */
export async function serverStats(tool: LogTool, top: number): Promise<ServerStats> {
  const shares = new TopicShares()
  let oldest: EntryMark | null = null
  let newest: EntryMark | null = null
  for await (const page of tool.outlines()) {
    for (const { id, at, topics, bytes } of page) {
      oldest ??= { id, at }
      newest = { id, at }
      shares.add(topics, bytes)
    }
  }
  return { server: tool.name, ...(await tool.figures()), oldest, newest, ...shares.result(top) }
}

/** Drops the entries over the limits, and answers their amount. Entries that hubs append meanwhile are not looked at. */
export async function pruneServer(tool: LogTool, options: PruneOptions): Promise<Amount> {
  const doomed = await findDoomed(tool, options)
  if (options.isDryRun)
    return doomed.reduce((held, one) => sum(held, { count: 1, bytes: one.bytes }), NOTHING)
  let dropped = NOTHING
  for (let at = 0; at < doomed.length; at += STEP) {
    const seqs = doomed.slice(at, at + STEP).map(({ seq }) => seq)
    dropped = sum(dropped, await tool.drop(seqs, options.matches === null))
    await options.pause()
  }
  return dropped
}

/** Stores the entries of a source at the end of a log on which no hub runs. Answers how many. */
export async function importToServer(
  tool: LogTool | null,
  open: (clock: () => number) => RedisTransport,
  source: AsyncIterable<Found>,
): Promise<number> {
  if (tool !== null && (await tool.figures()).nodes > 0)
    throw new HistoryProblem('hubs are running on the log: stop them first')
  const newest = tool === null ? null : (await serverStats(tool, 0)).newest
  const importing = new Importing(open, newest?.at ?? 0)
  try {
    for await (const found of source) await importing.take(found)
    await importing.flush()
  } finally {
    await importing.close()
  }
  return importing.stored
}

/** Entries keep their times: the clock of the log shows that of those which are stored together. */
class Importing {
  readonly #open: (clock: () => number) => RedisTransport
  #transport: RedisTransport | null = null
  #now: number
  #waiting: NewEntry[] = []
  #stored = 0

  constructor(open: (clock: () => number) => RedisTransport, newestAt: number) {
    this.#open = open
    this.#now = newestAt
  }

  get stored(): number {
    return this.#stored
  }

  async take(found: Found): Promise<void> {
    if (found.kind === 'left-out') return
    if (found.kind === 'wrong') throw this.#problem(found.place, found.reason)
    const { at } = found.entry
    if (at < this.#now) throw this.#problem(found.place, 'is older than the entry before it')
    if (at > this.#now || this.#waiting.length >= STEP) await this.flush()
    this.#now = at
    this.#waiting.push(found.entry)
  }

  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return
    if (this.#transport === null) {
      this.#transport = this.#open(() => this.#now)
      await this.#transport.open(
        () => {},
        () => {},
      )
    }
    const log = this.#transport
    await Promise.all(this.#waiting.map((entry) => log.append(toEnvelope(entry))))
    this.#stored += this.#waiting.length
    this.#waiting = []
  }

  async close(): Promise<void> {
    await this.#transport?.close()
  }

  #problem(place: string, reason: string): HistoryProblem {
    const progress = this.#stored === 0 ? 'nothing was stored' : `the first ${this.#stored} are stored`
    return new HistoryProblem(`${place} ${reason}; ${progress}`)
  }
}

/** The newest entry that has to go, and all that match before it. */
async function findDoomed(tool: LogTool, { keep, matches, now }: PruneOptions): Promise<readonly Outline[]> {
  const chosen: Outline[] = []
  for await (const page of tool.outlines())
    chosen.push(...page.filter(({ topics }) => matches === null || matches(topics)))
  let kept = NOTHING
  for (let at = chosen.length - 1; at >= 0; at--) {
    const entry = chosen[at]
    if (entry === undefined) continue
    const held = sum(kept, { count: 1, bytes: entry.bytes })
    if (mayDrop(entry, held, now, keep)) return chosen.slice(0, at + 1)
    kept = held
  }
  return []
}

/** The source has checked that the bytes are one whole event. */
function toEnvelope({ id, topics, private: isPrivate, frame }: NewEntry): Envelope {
  return { id, topics, private: isPrivate, frame: frame as Frame }
}

const NOTHING: Amount = { count: 0, bytes: 0 }
const STEP = 250
