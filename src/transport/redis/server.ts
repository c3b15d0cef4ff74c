/** Where a server listens. */
export type Place =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly isTls: boolean }
  | { readonly kind: 'unix'; readonly path: string }

/** How to reach the server of a log, or the Sentinels that know it. */
export interface ServerOptions {
  /** Where the server is; with Sentinels only how it is spoken to counts. */
  readonly place: Place
  /** Sentinels in the order in which they are asked; empty: the server is at its place. */
  readonly sentinels: readonly Place[]
  /** The name of the server among those that the Sentinels watch. */
  readonly sentinelName: string
  readonly username: string | null
  readonly password: string | null
  readonly database: number
  /** Certificates in PEM that TLS trusts, instead of those of the system; null: those of the system. */
  readonly ca: string | null
  /** The time in which the server must answer, in milliseconds. */
  readonly timeoutMs: number
}

/** The parts of a server's URL. */
export interface ServerUrl {
  readonly place: Place
  readonly username: string | null
  readonly password: string | null
  readonly database: number
}

/** Reads `redis:`, `rediss:`, `unix:` and `redis+unix:`. Throws a plain Error without what the text holds. */
export function parseServerUrl(text: string): ServerUrl {
  const url = URL.parse(text)
  if (url === null) throw new Error('it is not a URL')
  const account = { username: decoded(url.username), password: decoded(url.password) }
  if (url.protocol === 'unix:' || url.protocol === 'redis+unix:') {
    const path = decodeURIComponent(url.pathname)
    return { place: { kind: 'unix', path }, ...account, database: Number(url.searchParams.get('db') ?? 0) }
  }
  const isTls = url.protocol === 'rediss:'
  // A URL writes IPv6 addresses in brackets, a socket does not.
  const host = url.hostname.replace(/^\[|\]$/g, '') || 'localhost'
  const port = url.port === '' ? REDIS_PORT : Number(url.port)
  const database = Number(url.pathname.slice(1) || 0)
  return { place: { kind: 'tcp', host, port, isTls }, ...account, database }
}

/** The place as a text for the log: without any secret. */
export function placeText(place: Place): string {
  return place.kind === 'unix' ? place.path : hostText(place)
}

/** Whether both are the same. */
export function isSamePlace(one: Place, other: Place): boolean {
  return placeText(one) === placeText(other)
}

const REDIS_PORT = 6379

function hostText({ host, port }: Extract<Place, { kind: 'tcp' }>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function decoded(part: string): string | null {
  return part === '' ? null : decodeURIComponent(part)
}
