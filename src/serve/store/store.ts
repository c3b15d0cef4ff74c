import type { NodeFigures } from '../../admin/console/answers.ts'
import type { ClusterFigures } from '../../admin/metrics.ts'
import type { Presence } from '../../hub/presence.ts'
import type { Transport } from '../../hub/transport.ts'

/** Everything that the nodes of one hub share: its log, and its presence. The hub opens and closes both. */
export interface Store {
  readonly transport: Transport
  /** Null where active subscriptions are off. */
  readonly presence: Presence | null
  /** Figures of a log on a server; null where the log is elsewhere. */
  readonly cluster: (() => ClusterFigures) | null
  /** The other nodes; null where there can be none. Never rejects. */
  readonly neighbours: (() => Promise<readonly NodeFigures[]>) | null
}
