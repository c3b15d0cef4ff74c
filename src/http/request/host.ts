/**
 * The host under which a request addresses the hub. Bun 1.4.5 leaves the URL of a request relative when its Host is
 * missing, as HTTP/1.0 allows, or is no host. Bun itself answers HTTP/1.1 without Host with 400 (RFC 9112 section 3.2).
 */

/**
 * The host and port of the Host field, in lower case and without the dot that may end a domain name; null when it is
 * missing, empty or no host.
 */
export function hostField(request: Request): string | null {
  const field = request.headers.get('host')
  if (field === null) return null
  // Nearly all requests name the same host.
  if (field !== latest.field) latest = { field, host: parseHost(field) }
  return latest.host
}

let latest: { readonly field: string; readonly host: string | null } = { field: '', host: null }

/** The canonical form of a host with an optional port, or null when the text is none. */
export function parseHost(text: string): string | null {
  if (!syntax.test(text) || /^\.|\.\./.test(text) || !URL.canParse(`http://${text}`)) return null
  return text.toLowerCase().replace(/\.(?=:|$)/, '')
}

/** A name, an IPv4 address or an IPv6 address in brackets, then perhaps a port (RFC 9110 section 7.2). */
const syntax = /^(?:[A-Za-z0-9._~!$&'()*+;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/

/** The address of a listener, as far as it knows: a Unix socket has no host, so it is called localhost. */
export interface Listening {
  readonly url: URL
}

/** The authority of the listener itself, which stands in where the client names none (RFC 9112 section 3.3). */
export function ownHost(listening: Listening | null): string {
  const host = listening?.url.host ?? ''
  return host === '' ? 'localhost' : host
}

/** Lets requests in at the listener, with a URL that is absolute. */
export class HostGate {
  readonly #scheme: string
  readonly #listening: () => Listening | null
  /** The last host that needed no change: nearly all requests name the same. */
  #good: string | null = null

  constructor(isSecure: boolean, listening: () => Listening | null) {
    this.#scheme = isSecure ? 'https' : 'http'
    this.#listening = listening
  }

  /** False for a request that names two hosts, which must be refused (RFC 9112 section 3.2). */
  admits(request: Request): boolean {
    const field = request.headers.get('host')
    if (field !== null && field === this.#good) return true
    // Bun joins repeated fields with a comma, and no host has one.
    if (field?.includes(',')) return false
    if (field !== null && parseHost(field) !== null && this.#isFound(field)) this.#good = field
    else this.#complete(request)
    return true
  }

  /** Elysia looks for the path behind the first three characters of the host in an https URL. */
  #isFound(host: string): boolean {
    return this.#scheme === 'http' || host.length >= 3
  }

  /** Completes the URL. The property covers the getter of the class; the request stays the one that Bun knows. */
  #complete(request: Request): void {
    const origin = `${this.#scheme}://${ownHost(this.#listening())}`
    Object.defineProperty(request, 'url', { value: `${origin}${targetOf(request.url)}` })
  }
}

/** Path and query. `*` and the authority of CONNECT are no path of the hub. */
function targetOf(url: string): string {
  if (url.startsWith('/')) return url
  const start = url.indexOf('://')
  return start === -1 ? `/${url}` : url.slice(url.indexOf('/', start + 3))
}
