import { refusedFeatures } from '../config/later.ts'
import { describeProblem, type Settings } from '../config/load.ts'
import { LocalPresence, type Presence } from '../hub/presence.ts'
import type { Transport } from '../hub/transport.ts'
import { MemoryTransport } from '../transport/memory/transport.ts'
import { SqliteTransport } from '../transport/sqlite/transport.ts'
import { monotonic } from './loop.ts'
import { retention } from './rules.ts'

/** Everything that the nodes of one hub share: its log, and who is subscribed. The hub opens and closes it. */
export interface Store {
  readonly transport: Transport
  /** Null where active subscriptions are off. */
  readonly presence: Presence | null
}

/**
 * The store of the settings: one choice of technology for both halves. `startWriter` starts the writer's thread of a
 * history in a file. Throws a plain Error for the operator.
 */
export function makeStore(settings: Settings, startWriter: () => Worker): Store {
  const { transport, sqlite, hub } = settings
  const keep = retention(settings)
  const presence = hub.subscriptions ? new LocalPresence() : null
  switch (transport) {
    case 'memory':
      return { transport: new MemoryTransport({ retention: keep, clock: monotonic }), presence }
    case 'local': {
      const none = { ...keep, maxCount: 0 }
      return { transport: new MemoryTransport({ retention: none, clock: monotonic }), presence }
    }
    case 'sqlite': {
      const options = { ...sqlite, retention: keep, clock: monotonic, startWriter }
      return { transport: new SqliteTransport(options), presence }
    }
    case 'redis':
      throw new Error(refusedFeatures(settings).map(describeProblem).join('\n'))
    default:
      return transport satisfies never
  }
}
