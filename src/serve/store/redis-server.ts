import { readFileSync } from 'node:fs'
import type { Settings } from '../../config/load.ts'
import { parseServerUrl, type ServerOptions } from '../../transport/redis/server.ts'

/** How to reach the server of the settings. Throws a plain Error for the operator. */
export function serverOptions({ redis }: Settings): ServerOptions {
  const sentinels = redis.sentinels.map((url) => parseServerUrl(url).place)
  const url = redis.url ?? redis.sentinels[0]
  if (url === undefined) throw new Error('redis.url is needed')
  const written = parseServerUrl(url)
  return {
    place: written.place,
    sentinels,
    sentinelName: redis.sentinelName ?? '',
    username: redis.username ?? written.username,
    password: redis.password ?? written.password,
    database: written.database,
    ca: redis.caFile === null ? null : readCertificates(redis.caFile),
    timeoutMs: redis.timeout,
  }
}

function readCertificates(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it cannot be read'
    throw new Error(`redis.ca_file: ${reason}`, { cause: error })
  }
}
