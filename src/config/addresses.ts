import { type Kind, kind, WrongValue } from './values.ts'

/** Values that name places on the network. This file checks their form and resolves no name. */

/** Where a listener waits: a host and a port, or the path of a Unix socket. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** `host:port`, `[::]:port`, `:port` or `unix:/path`. */
export const listenAddress: Kind<ListenAddress> = kind('address', (raw) => {
  const written = string(raw)
  if (written.startsWith('unix:/')) return { kind: 'unix', path: written.slice('unix:'.length) }
  const colon = written.lastIndexOf(':')
  const host = bareHost(written.slice(0, colon))
  const port = written.slice(colon + 1)
  if (colon === -1 || host === null || !isPort(port)) {
    throw new WrongValue('is not host:port, [::]:port or unix:/path')
  }
  return { kind: 'tcp', host, port: Number(port) }
})

/** An address as it is written in the configuration. */
export function formatAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

/**
 * The addresses behind one address: the name `localhost` is both loopback addresses, because a client may take
 * either, and the hub never hears of a client that finds another program there.
 */
export function loopbacks(address: ListenAddress): readonly ListenAddress[] {
  if (address.kind === 'unix' || address.host !== 'localhost') return [address]
  return ['127.0.0.1', '::1'].map((host) => ({ ...address, host }))
}

/** Whether only this machine can reach the address. */
export function isLoopback(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true
  return address.host === 'localhost' || address.host === '::1' || /^127\.[0-9.]+$/.test(address.host)
}

/**
 * The hub path: it begins with a slash, has a name and ends without a slash (GEN-10, GEN-16). It has only characters
 * that every URL parser leaves alone and that no router reads as a pattern.
 */
export const hubPath: Kind<string> = kind('path', (raw) => {
  const path = string(raw)
  const parsed = URL.parse(path, 'http://hub.invalid')
  if (!/^(\/[\w.~-]+)+$/.test(path) || parsed?.pathname !== path) {
    throw new WrongValue('is not a path such as /.well-known/mercure, without a slash at its end')
  }
  if (healthPaths.includes(path)) throw new WrongValue('is where the hub answers health checks')
  return path
})

const healthPaths: readonly string[] = ['/healthz', '/readyz']

/** An origin that the hub answers on: scheme and host, no path (GEN-15). */
export const publicUrl: Kind<string> = kind('origin', (raw) => {
  const url = webUrl(string(raw))
  if (url?.username !== '' || url.password !== '') {
    throw new WrongValue('is not an http or https origin such as https://hub.example.com')
  }
  if (url.origin !== raw) throw new WrongValue(`is not an origin alone; write ${url.origin}`)
  return url.origin
})

/** The OAuth audience: an absolute URI without fragment (AUT-40). */
export const resourceIdentifier: Kind<string> = kind('absolute URI', (raw) => {
  const uri = string(raw)
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:[^\s#]+$/.test(uri) || !URL.canParse(uri)) {
    throw new WrongValue('is not an absolute URI without fragment')
  }
  return uri
})

/** The place of a JWK Set: over HTTP, or a file of this machine (AUT-41). */
export const jwksUri: Kind<string> = kind('URL', (raw) => {
  const uri = string(raw)
  const local =
    URL.parse(uri)?.protocol === 'file:' && ['', 'localhost'].includes(URL.parse(uri)?.host ?? '-')
  if (webUrl(uri) === null && !local) throw new WrongValue('is not an https, http or file URL')
  return uri
})

/** An IP address, a network in CIDR notation, or `unix` for the peers of Unix sockets. */
export const network: Kind<string> = kind('address, network or `unix`', (raw) => {
  const written = string(raw)
  if (written === 'unix') return written
  const [address = '', bits, ...rest] = written.split('/')
  const widest = address.includes(':') ? 128 : 32
  const fits = bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) <= widest)
  if (!isIpAddress(address) || !fits || rest.length > 0) {
    throw new WrongValue('is not an IP address, a network such as 10.0.0.0/8, or unix')
  }
  return written
})

/** The endpoint of a collector of OpenTelemetry, below which it takes traces. */
export const otlpEndpoint: Kind<string> = kind('HTTP endpoint', (raw) => {
  const url = webUrl(string(raw))
  if (url?.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new WrongValue('is not an http or https URL such as http://localhost:4318')
  }
  return string(raw)
})

/** The URL of a Redis server. */
export const redisUrl: Kind<string> = kind('URL', (raw) => {
  const protocol = URL.parse(string(raw))?.protocol ?? ''
  if (!['redis:', 'rediss:', 'redis+unix:', 'unix:'].includes(protocol)) {
    throw new WrongValue('is not a URL such as redis://localhost:6379')
  }
  return string(raw)
})

/** The URL of a Sentinel, which has no password. */
export const sentinelUrl: Kind<string> = kind('URL', (raw) => {
  const url = URL.parse(string(raw))
  const isServer = url !== null && ['redis:', 'rediss:'].includes(url.protocol) && url.hostname !== ''
  if (!isServer || url.username !== '' || url.password !== '') {
    throw new WrongValue('is not a URL such as redis://sentinel-1:26379, without a password')
  }
  return string(raw)
})

/** The name of an HTTP field (RFC 9110 section 5.1). A star alone would be a name, and means all fields in CORS. */
export const fieldName: Kind<string> = kind('field name', (raw) => {
  const name = string(raw)
  if (!/^[A-Za-z0-9!#$%&'+.^_`|~-]+$/.test(name)) throw new WrongValue('is not the name of a field')
  return name
})

/** The text without the user names and passwords of the URLs in it. */
export function withoutPasswords(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^/?#\s"]*@/gi, '$1***@')
}

/** An entry of an origin allow-list (SUB-102). The edge matches it against requests. */
export const originPattern: Kind<string> = kind('origin pattern', (raw) => {
  const pattern = string(raw)
  if (!isOriginPattern(pattern)) {
    throw new WrongValue('is not *, null or scheme://host[:port], where the host may begin with *.')
  }
  return pattern
})

/**
 * Whether the text is `*`, `null`, `scheme://host[:port]`, with one `*.` before the host or `*` as the port,
 * or a custom scheme alone such as `capacitor://`. A path, even `/`, is none (SUB-102).
 */
export function isOriginPattern(pattern: string): boolean {
  if (pattern === '*' || pattern === 'null') return true
  const end = pattern.indexOf('://')
  const scheme = pattern.slice(0, Math.max(end, 0))
  const rest = pattern.slice(end + '://'.length)
  // A URL of that scheme exists exactly when the scheme is well-formed.
  if (end < 1 || scheme.trim() !== scheme || !URL.canParse(`${scheme}://x`)) return false
  const isWeb = scheme === 'http' || scheme === 'https'
  if (rest === '') return !isWeb
  return isAuthority(rest)
}

/** Whether the text is a host with an optional port, nothing else. The check replaces only the wildcards. */
function isAuthority(written: string): boolean {
  const port = written.endsWith(':*') ? written.slice(0, -1).concat('1') : written
  const plain = port.startsWith('*.') ? `x.${port.slice(2)}` : port
  // URL parsers drop tabs and line breaks, and read a backslash as a slash.
  if (/[/?#@*\\%,\s\p{Cc}]/u.test(plain)) return false
  const url = URL.parse(`http://${plain}`)
  return url !== null && url.hostname !== '' && !plain.endsWith(':')
}

function webUrl(written: string): URL | null {
  const url = URL.parse(written)
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') ? url : null
}

function bareHost(written: string): string | null {
  if (written === '') return '0.0.0.0'
  if (written.startsWith('[') && written.endsWith(']')) {
    const address = written.slice(1, -1)
    return isIpAddress(address) && address.includes(':') ? address : null
  }
  return /^[A-Za-z0-9._-]+$/.test(written) ? written : null
}

function isPort(written: string): boolean {
  return /^[0-9]{1,5}$/.test(written) && Number(written) <= 65_535
}

function isIpAddress(written: string): boolean {
  if (written.includes(':')) return URL.canParse(`http://[${written}]`)
  const parts = written.split('.')
  return parts.length === 4 && parts.every((part) => /^[0-9]{1,3}$/.test(part) && Number(part) <= 255)
}

function string(raw: unknown): string {
  if (typeof raw !== 'string') throw new WrongValue('is not a text')
  return raw
}
