import type { Settings } from '../../config/load.ts'
import { LocalPresence } from '../../hub/presence.ts'
import type { HubLocation } from '../../protocol/topic.ts'
import { seal } from '../../protocol/update.ts'
import type { EventLog, Log } from '../../telemetry/log.ts'
import { LogClock } from '../../transport/log-clock.ts'
import { allocateBuffer } from '../../transport/memory/stretch.ts'
import { MemoryTransport } from '../../transport/memory/transport.ts'
import type { Retention } from '../../transport/retention.ts'
import { SqliteTransport } from '../../transport/sqlite/transport.ts'
import { machineClocks } from '../clocks.ts'
import { announcementOf } from '../generations/announcement.ts'
import type { Generation } from '../generations/generation.ts'
import { newId } from '../ids.ts'
import { noticeWriter } from '../notices.ts'
import { retention } from '../rules.ts'
import { rawMemory } from '../system/raw-memory.ts'

import type { Totals } from './redis.ts'
import type { Store } from './store.ts'

/** The parts of a store that come from elsewhere. */
export interface StoreParts {
  /** Starts the writer's thread of a history in a file. */
  readonly startWriter: () => Worker
  /** Takes the notices of the store for an operator. */
  readonly log: Log
  readonly events: EventLog
  readonly location: HubLocation
  readonly generations: readonly Generation[]
  /** Hears how long a batch took to be stored on a server, in milliseconds. */
  readonly onBatch: (ms: number) => void
  /** Figures of this node, for other nodes to show. */
  readonly totals: () => Totals
}

/**
 * The store of the settings: one choice of technology for both halves. A log on a server is loaded with its library only
 * where it is asked for. Rejects with a plain Error for the operator.
 */
export async function makeStore(settings: Settings, parts: StoreParts): Promise<Store> {
  const { transport, sqlite, hub } = settings
  const { startWriter, log, events } = parts
  const keep = retention(settings)
  const presence = hub.subscriptions ? new LocalPresence() : null
  const clocks = machineClocks()
  const notify = noticeWriter(log, events)
  const inMemory = (kept: Retention) => {
    const time = new LogClock(clocks, notify)
    const allocate = rawMemory() ?? allocateBuffer
    return new MemoryTransport({ retention: kept, clock: () => time.now(), allocate })
  }
  switch (transport) {
    case 'memory':
      return { transport: inMemory(keep), presence, cluster: null, neighbours: null }
    case 'local':
      return { transport: inMemory({ ...keep, maxCount: 0 }), presence, cluster: null, neighbours: null }
    case 'sqlite': {
      const options = { ...sqlite, retention: keep, clocks, notify, startWriter }
      return { transport: new SqliteTransport(options), presence, cluster: null, neighbours: null }
    }
    case 'redis': {
      const { openRedis } = await import('./redis.ts')
      const announce = announcementOf(parts.generations)
      return await openRedis(settings, log, {
        ...parts,
        notify,
        events: (subscriptions, active) =>
          subscriptions.map((one) => seal(announce(parts.location, one, active), newId())),
      })
    }
    default:
      return transport satisfies never
  }
}
