import { Connection, messageOf } from './connection.ts'
import { type Place, placeText, type ServerOptions } from './server.ts'

/**
 * Where the primary is: at its place, or where the first Sentinel says that answers. Rejects with a plain Error that
 * names every Sentinel and what it said.
 */
export async function locatePrimary(options: ServerOptions): Promise<Place> {
  if (options.sentinels.length === 0) return options.place
  const problems: string[] = []
  for (const sentinel of options.sentinels) {
    try {
      return await askSentinel(sentinel, options)
    } catch (error) {
      problems.push(`${placeText(sentinel)}: ${messageOf(error)}`)
    }
  }
  throw new Error(`no Sentinel knows the primary (${problems.join('; ')})`)
}

/** A Sentinel is asked without a password: it has its own, which few set. */
async function askSentinel(sentinel: Place, options: ServerOptions): Promise<Place> {
  const timeoutMs = Math.min(options.timeoutMs, SENTINEL_MS)
  const connection = await Connection.open(sentinel, {
    ...options,
    username: null,
    password: null,
    database: 0,
    timeoutMs,
  })
  try {
    const answer = await connection.call(
      ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', options.sentinelName],
      timeoutMs,
    )
    if (!Array.isArray(answer) || answer.length < 2) {
      throw new Error(`it watches no server named ${options.sentinelName}`)
    }
    const isTls = options.place.kind === 'tcp' && options.place.isTls
    return { kind: 'tcp', host: String(answer[0]), port: Number(answer[1]), isTls }
  } finally {
    connection.destroy()
  }
}

const SENTINEL_MS = 1000
