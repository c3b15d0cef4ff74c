import { type RedisOptions, RedisTransport } from '../../../src/transport/redis/transport.ts'
import type { RedisServer } from '../../support/redis-server.ts'
import { type Log, type LogOptions, ruleFor, unlimited } from '../contract.ts'

/** A log on a server, for tests. */
export interface RedisLog extends Log {
  readonly transport: RedisTransport
  readonly prefix: string
}

let logs = 0

/** A log of its own on the server, or with `prefix` a node of that one. */
export function redisLog(
  server: RedisServer,
  options: Partial<LogOptions> = {},
  prefix = `test-${++logs}`,
  more: Partial<RedisOptions> = {},
): RedisLog {
  const transport = new RedisTransport({
    server: server.options(),
    prefix,
    retention: options.retention ?? unlimited,
    compile: ({ name, ...limits }) => ruleFor(name.split(' '), limits),
    replicas: 0,
    clock: options.clock ?? null,
    notify: () => {},
    onBatch: () => {},
    ...more,
  })
  return {
    transport,
    prefix,
    prune: () => transport.prune(),
    again: (next) => redisLog(server, next, prefix),
    dispose: async () => {},
  }
}
