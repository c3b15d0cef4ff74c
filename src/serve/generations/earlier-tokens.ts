import { isCurrentGeneration, readToken } from '../../auth/token.ts'
import type { EarlierPlace, EarlierTokens } from '../../http/request/credentials.ts'
import type { Log } from '../../telemetry/log.ts'

/** Says that tokens of the 0.x generation come in and are not taken: once a minute for each place, not for each one. */
export function earlierTokens(log: Log, now = () => performance.now()): EarlierTokens {
  const said = new Map<EarlierPlace, number>()
  return {
    isOne: (text) => {
      const token = readToken(text)
      return token !== null && !isCurrentGeneration(token)
    },
    onRefused: (place) => {
      if (now() - (said.get(place) ?? Number.NEGATIVE_INFINITY) < MINUTE_MS) return
      said.set(place, now())
      log.warn('a 0.x token is not accepted: set hub.legacy, or let clients send tokens of 1.0', { place })
    },
  }
}

const MINUTE_MS = 60_000
