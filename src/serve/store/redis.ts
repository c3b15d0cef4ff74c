import type { Settings } from '../../config/load.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Notice } from '../../transport/notice.ts'
import { type Examination, examineServer } from '../../transport/redis/examine.ts'
import type { NodeReport } from '../../transport/redis/neighbours.ts'
import { type Events, RedisPresence } from '../../transport/redis/presence.ts'
import { nodeName } from './node-name.ts'
import { makeLog } from './redis-log.ts'
import { serverOptions } from './redis-server.ts'
import type { Store } from './store.ts'

/** The parts of a log on a server that come from elsewhere. */
export interface RedisParts {
  readonly notify: (notice: Notice) => void
  /** Hears how long a batch took to be stored, in milliseconds. */
  readonly onBatch: (ms: number) => void
  /** Makes the events of subscriptions. */
  readonly events: Events
  /** The number of subscribers, and of updates since the start, of this node. */
  readonly totals: () => Totals
}

/** Figures of a node that other nodes show. */
export interface Totals {
  readonly subscribers: number
  readonly updates: number
}

/**
 * The log and the presence on a server. Refuses a server that no log may be on, and says what an operator had better know
 * of it. Rejects with a plain Error for the operator.
 */
export async function openRedis(settings: Settings, log: Log, parts: RedisParts): Promise<Store> {
  const { prefix } = settings.redis
  const { server, warnings } = await examineRedis(settings)
  for (const warning of warnings)
    log.warn('the server of the history should be another', { problem: warning })
  const node = nodeName(settings)
  const transport = makeLog(settings, null, { ...parts, report: reporter(node, parts.totals) })
  log.info('the history is on a server', { server, node, prefix })
  const presence = settings.hub.subscriptions ? new RedisPresence(transport, parts.events, Date.now) : null
  const cluster = () => ({ ...transport.figures, reaped: presence?.reaped ?? 0 })
  const neighbours = async () => {
    // While the server is away there is nothing to show of the others.
    const found = await transport.neighbours().catch(() => [])
    return found.map(({ name: id, ...figures }) => ({ ...figures, id, self: false }))
  }
  return { transport, presence, cluster, neighbours }
}

/** The report of this node: how many updates a second it took since the last one. */
function reporter(name: string, totals: () => Totals, now = () => performance.now()): () => NodeReport {
  let before = { at: now(), updates: 0 }
  return () => {
    const { subscribers, updates } = totals()
    const at = now()
    const published = Math.round((updates - before.updates) / Math.max(0.001, (at - before.at) / 1000))
    before = { at, updates }
    return { name, subscribers, published }
  }
}

/** Looks at the server of the settings. Rejects with a plain Error that says why no hub could use it. */
export async function examineRedis(settings: Settings): Promise<Examination> {
  const name = settings.redis.url === null ? 'redis.sentinels' : 'redis.url'
  const examined = await examineServer(serverOptions(settings), settings.history.maxBytes).catch((error) => {
    throw new Error(`${name}: ${error instanceof Error ? error.message : 'it cannot be reached'}`)
  })
  if (examined.problems.length > 0)
    throw new Error(examined.problems.map((problem) => `${name}: ${problem}`).join('\n'))
  return examined
}
