import type { Settings } from '../../config/load.ts'
import { hubUrl } from '../../config/location.ts'
import { hubLocation } from '../../protocol/topic.ts'
import { type RedisOptions, RedisTransport } from '../../transport/redis/transport.ts'
import { compileRule, retention } from '../rules.ts'
import { serverOptions } from './redis-server.ts'

/**
 * The log on the server of the settings, not open yet. `clock` gives its time; null leaves that to the server. Throws a
 * plain Error for the operator.
 */
export function makeLog(
  settings: Settings,
  clock: RedisOptions['clock'],
  heard: Pick<RedisOptions, 'notify' | 'onBatch' | 'report'> = { notify: () => {}, onBatch: () => {} },
): RedisTransport {
  const { prefix, replicas } = settings.redis
  const location = hubLocation(hubUrl(settings))
  return new RedisTransport({
    server: serverOptions(settings),
    prefix,
    retention: retention(settings),
    compile: (limits) => compileRule(limits, location),
    replicas,
    clock,
    ...heard,
  })
}
