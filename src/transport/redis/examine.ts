import { Connection, messageOf } from './connection.ts'
import { locatePrimary } from './primary.ts'
import { placeText, type ServerOptions } from './server.ts'

/** A server that is to hold a log, as the hub finds it. */
export interface Examination {
  /** The server, such as `Redis 7.0.15 at 127.0.0.1:6379`. */
  readonly server: string
  /** Reasons why no log may be on it, a line each. */
  readonly problems: readonly string[]
  /** Facts that an operator had better know, a line each. */
  readonly warnings: readonly string[]
}

/**
 * Looks at the server before a log is opened on it. `historyBytes`: the bytes of the past, null without a limit. Rejects
 * with a plain Error when the server cannot be reached, or does not let the hub in.
 */
export async function examineServer(
  options: ServerOptions,
  historyBytes: number | null,
): Promise<Examination> {
  const place = await locatePrimary(options)
  const connection = await Connection.open(place, options).catch((error) => {
    throw new Error(`${placeText(place)}: ${messageOf(error)}`, { cause: error })
  })
  try {
    const info = await readInfo(connection, options.timeoutMs)
    const facts = { info, historyBytes }
    const isOpen = place.kind === 'tcp' && !place.isTls && !isLoopback(place.host)
    return {
      server: `${nameOf(info)} at ${placeText(place)}`,
      problems: problems.flatMap((one) => one(facts) ?? []),
      warnings: [
        ...(isOpen
          ? ['the way to the server is not encrypted: use rediss: unless nobody else is on it']
          : []),
        ...warnings.flatMap((one) => one(facts) ?? []),
      ],
    }
  } catch (error) {
    throw new Error(`${placeText(place)}: ${messageOf(error)}`, { cause: error })
  } finally {
    connection.destroy()
  }
}

interface Facts {
  readonly info: ReadonlyMap<string, string>
  readonly historyBytes: number | null
}

type Look = (facts: Facts) => string | null

const problems: readonly Look[] = [
  ({ info }) => {
    const version = info.get('redis_version') ?? ''
    const [major = 0, minor = 0] = version.split('.').map(Number)
    return major > 7 || (major === 7 && minor >= 0) ? null : `it is version ${version}: 7.0 is needed`
  },
  ({ info }) => (info.get('role') === 'master' ? null : 'it is a replica: name the primary, or Sentinels'),
  ({ info }) => {
    const policy = policyOf(info)
    if (limitOf(info) === 0 || !policy.startsWith('allkeys-')) return null
    return `it drops any key when its memory is full (maxmemory-policy ${policy}): set noeviction`
  },
]

const warnings: readonly Look[] = [
  ({ info }) =>
    info.get('aof_enabled') === '1'
      ? null
      : 'it keeps no journal: a restart of the server loses the history (set appendonly yes)',
  ({ info, historyBytes }) => {
    const limit = limitOf(info)
    const needed = historyBytes === null ? null : Math.ceil(1.25 * (historyBytes + TAIL_BYTES))
    if (limit === 0 || needed === null || limit >= needed) return null
    return `its maxmemory of ${limit} bytes is less than the ${needed} that the history may take`
  },
  ({ info }) => {
    const policy = policyOf(info)
    if (limitOf(info) === 0 || !policy.startsWith('volatile-')) return null
    return `it drops keys of others when its memory is full (maxmemory-policy ${policy}): noeviction says so instead`
  },
]

/** The tail of the log holds so much beside the past. */
const TAIL_BYTES = 64 * 1024 * 1024

function policyOf(info: Facts['info']): string {
  return info.get('maxmemory_policy') ?? 'noeviction'
}

function limitOf(info: Facts['info']): number {
  return Number(info.get('maxmemory') ?? 0)
}

function nameOf(info: Facts['info']): string {
  const valkey = info.get('valkey_version')
  return valkey === undefined ? `Redis ${info.get('redis_version')}` : `Valkey ${valkey}`
}

async function readInfo(connection: Connection, timeoutMs: number): Promise<ReadonlyMap<string, string>> {
  const sections = ['server', 'memory', 'persistence', 'replication']
  const texts = await Promise.all(sections.map((section) => connection.call(['INFO', section], timeoutMs)))
  const lines = texts.flatMap((text) => String(text).split('\r\n'))
  return new Map(
    lines.flatMap((line): readonly (readonly [string, string])[] => {
      const [, name, value] = /^(\w+):(.*)$/.exec(line) ?? []
      return name === undefined || value === undefined ? [] : [[name, value]]
    }),
  )
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
