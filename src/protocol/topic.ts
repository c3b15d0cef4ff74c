import { ProtocolError } from './error.ts'

declare const topic: unique symbol

/** A string that passed the character rules and does not address the reserved namespace (PUB-11). */
export type Topic = string & { readonly [topic]: true }

/** The place of the hub: the base of relative references and of the reserved namespace (GEN-12). */
export interface HubLocation {
  /** The absolute URL of the hub, for example `https://hub.example.com/.well-known/mercure`. */
  readonly url: string
  /** Its path component, never with a trailing slash, for example `/.well-known/mercure`. */
  readonly path: string
}

/**
 * Reads the location of the hub from its absolute URL.
 * Throws a plain Error when the URL is not absolute and hierarchical: that is wrong configuration.
 */
export function hubLocation(url: string): HubLocation {
  const { pathname, host, search, hash } = new URL(url)
  if (host === '' || search !== '' || hash !== '') throw new Error(`not usable as a hub URL: ${url}`)
  if (pathname === '/' || pathname.endsWith('/')) {
    throw new Error(`the hub path needs a name and no trailing slash: ${url}`)
  }
  return { url, path: pathname }
}

/**
 * A topic of a publication. Throws `invalid-topic` when it holds a forbidden character or is the wildcard,
 * and `reserved-topic` when it addresses the hub's own namespace (GEN-01, PUB-12, PUB-13).
 */
export function parseTopic(value: string, hub: HubLocation): Topic {
  if (!isProtocolString(value))
    throw new ProtocolError('invalid-topic', 'a topic holds a forbidden character')
  if (value === '*') throw new ProtocolError('invalid-topic', 'a topic must not be the wildcard')
  if (isReserved(value, hub)) {
    throw new ProtocolError('reserved-topic', 'a topic addresses the namespace of the hub')
  }
  return value as Topic
}

// C0, DEL, C1 and Cf. A lone surrogate is not UTF-8, and JavaScript strings can hold one.
const forbidden = /[\p{Cc}\p{Cf}\p{Cs}]/u

/** Whether the text may be a topic, a matcher, an id or a type on the wire (GEN-01). */
export function isProtocolString(value: string): boolean {
  return !forbidden.test(value)
}

/** Whether the topic addresses the hub path or something below it, on any origin (PUB-13). */
export function isReserved(value: string, hub: HubLocation): boolean {
  if (isElsewhere(value, hub)) return false
  const path = pathOf(value, hub)
  if (path === null) return false
  const normalized = removeDotSegments(decodeUnreserved(path))
  const own = decodeUnreserved(hub.path)
  return normalized === own || normalized.startsWith(`${own}/`)
}

/**
 * Tells most topics apart without parsing them. The path of a URL with an authority comes from its text alone,
 * so it holds the last segment of the hub's path only where the text does, unless something is percent-encoded.
 */
function isElsewhere(value: string, hub: HubLocation): boolean {
  const segment = hub.path.slice(hub.path.lastIndexOf('/') + 1)
  return (
    absolute.test(value) && !value.includes('%') && !value.includes(segment) && plainSegment.test(segment)
  )
}

const absolute = /^[a-z][a-z0-9+.-]*:\/\//i
// Other characters of the hub's path may look different in the text of a topic: `é` and `%C3%A9`.
const plainSegment = /^[A-Za-z0-9\-._~]+$/

function pathOf(value: string, hub: HubLocation): string | null {
  const url = URL.parse(value, hub.url)
  return url === null ? null : urlPath(url)
}

/**
 * The path of a URL, taken from its serialization: Bun 1.4.5 answers `well-known/x` for the pathname of
 * `foo:/.well-known/x`, which would open the reserved namespace (PUB-18).
 */
export function urlPath(url: URL): string {
  const end = url.href.search(/[?#]/)
  const bare = end === -1 ? url.href : url.href.slice(0, end)
  const rest = bare.slice(url.protocol.length)
  if (!rest.startsWith('//')) return rest
  const slash = rest.indexOf('/', 2)
  return slash === -1 ? '' : rest.slice(slash)
}

const unreserved = /[A-Za-z0-9\-._~]/

function decodeUnreserved(path: string): string {
  return path.replace(/%[0-9A-Fa-f]{2}/g, (triplet) => {
    const char = String.fromCharCode(Number.parseInt(triplet.slice(1), 16))
    return unreserved.test(char) ? char : triplet
  })
}

/** RFC 3986 section 5.2.4, for dots that only appear once `%2E` is decoded. Opaque paths have none. */
function removeDotSegments(path: string): string {
  if (!path.startsWith('/') || !path.includes('/.')) return path
  const kept: string[] = []
  const segments = path.slice(1).split('/')
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
    if (last && (segment === '.' || segment === '..')) kept.push('')
  }
  return `/${kept.join('/')}`
}
