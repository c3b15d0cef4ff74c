import { isCurrentGeneration, readToken } from '../auth/token.ts'
import type { EarlierPlace, EarlierTokens } from '../http/credentials.ts'
import type { Log } from '../telemetry/log.ts'
import type { Notice } from '../transport/notice.ts'

/** Writes what a log has to say to the operator. */
export function noticeWriter(log: Log): (notice: Notice) => void {
  return (notice) => {
    switch (notice.kind) {
      case 'clock-set':
        log.warn('the clock of the machine was set: the history keeps the age of its updates', {
          seconds: Math.round(notice.ms / 1000),
        })
        break
      case 'slept':
        log.info('the machine slept', { seconds: Math.round(notice.ms / 1000) })
        break
      default:
        notice satisfies never
    }
  }
}

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
