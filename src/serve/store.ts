import { refusedFeatures } from '../config/later.ts'
import { describeProblem, type Settings } from '../config/load.ts'
import { LocalPresence, type Presence } from '../hub/presence.ts'
import type { Transport } from '../hub/transport.ts'
import type { EventLog, Log } from '../telemetry/log.ts'
import { LogClock } from '../transport/log-clock.ts'
import { allocateBuffer } from '../transport/memory/stretch.ts'
import { MemoryTransport } from '../transport/memory/transport.ts'
import type { Retention } from '../transport/retention.ts'
import { SqliteTransport } from '../transport/sqlite/transport.ts'
import { machineClocks } from './clocks.ts'
import { noticeWriter } from './notices.ts'
import { retention } from './rules.ts'
import { rawMemory } from './system/raw-memory.ts'

/** Everything that the nodes of one hub share: its log, and its presence. The hub opens and closes both. */
export interface Store {
  readonly transport: Transport
  /** Null where active subscriptions are off. */
  readonly presence: Presence | null
}

/**
 * The store of the settings: one choice of technology for both halves. `startWriter` starts the writer's thread of a
 * history in a file; `log` takes the notices of the store for an operator. Throws a plain Error for the operator.
 */
export function makeStore(settings: Settings, startWriter: () => Worker, log: Log, events: EventLog): Store {
  const { transport, sqlite, hub } = settings
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
      return { transport: inMemory(keep), presence }
    case 'local':
      return { transport: inMemory({ ...keep, maxCount: 0 }), presence }
    case 'sqlite': {
      const options = { ...sqlite, retention: keep, clocks, notify, startWriter }
      return { transport: new SqliteTransport(options), presence }
    }
    case 'redis':
      throw new Error(refusedFeatures(settings).map(describeProblem).join('\n'))
    default:
      return transport satisfies never
  }
}
