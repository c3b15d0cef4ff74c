import type { Access } from '../http/edge.ts'
import type { Exchange } from '../http/exchange.ts'
import type { StreamEnd, StreamEnds } from '../http/subscribe.ts'
import type { Log } from '../telemetry/log.ts'

/** A line of the log for each answer, and one for the end of each stream (`log.access`). Queries may hold tokens. */
export class AccessLog implements Access, StreamEnds {
  readonly #log: Log

  constructor(log: Log) {
    this.#log = log
  }

  answered(exchange: Exchange, route: string, status: number, ms: number): void {
    this.#log.info('request', {
      method: exchange.request.method,
      path: pathOf(exchange.request.url),
      route,
      status,
      ms: rounded(ms),
      address: exchange.address() ?? 'a Unix socket',
      request: exchange.id,
    })
  }

  ended(exchange: Exchange, { reason, ms }: StreamEnd): void {
    this.#log.info('stream ended', { reason, ms: rounded(ms), request: exchange.id })
  }
}

/** The path of the URL without its query, cut: a client may send any. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const path = start === -1 ? '/' : url.slice(start).replace(/[?#].*$/s, '')
  return path.length > PATH_MAX ? `${path.slice(0, PATH_MAX)}…` : path
}

const PATH_MAX = 200

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
