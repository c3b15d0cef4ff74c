import { BlockList, isIP } from 'node:net'
import { parseHost } from './host.ts'

/**
 * The proxies in front of the hub whose word on the client is believed: `Forwarded` (RFC 7239), else the
 * `X-Forwarded-*` fields. From anybody else those fields mean nothing.
 */
export class Proxies {
  readonly #trusted = new BlockList()
  readonly #isUnixTrusted: boolean
  /** Whether anybody is trusted; otherwise nobody needs to ask for the peer. */
  readonly isUsed: boolean

  /** Addresses, networks such as `10.0.0.0/8`, or `unix`. Throws a plain Error that names a bad entry. */
  constructor(trusted: readonly string[]) {
    this.#isUnixTrusted = trusted.includes('unix')
    this.isUsed = trusted.length > 0
    for (const entry of trusted) if (entry !== 'unix') this.#add(entry)
  }

  /** The nearest address that is not a trusted proxy; null when there is none. */
  clientAddress(request: Request, peer: string | null): string | null {
    if (!this.isTrusted(peer)) return peer
    const hops = forwardedHops(request).reverse()
    return hops.find((hop) => !this.isTrusted(hop)) ?? hops.at(-1) ?? peer
  }

  /** Scheme and host as the client used them. `fallback` is what the connection itself says. */
  origin(request: Request, peer: string | null, fallback: { scheme: string; host: string }): string {
    if (!this.isTrusted(peer)) return canonicalOrigin(fallback.scheme, fallback.host)
    const scheme = forwarded(request, 'proto') ?? lastOf(request, 'x-forwarded-proto') ?? fallback.scheme
    const host = forwarded(request, 'host') ?? lastOf(request, 'x-forwarded-host') ?? fallback.host
    return canonicalOrigin(scheme, host)
  }

  isTrusted(address: string | null): boolean {
    if (address === null) return this.#isUnixTrusted
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
    const family = isIP(plain)
    return family !== 0 && this.#trusted.check(plain, family === 6 ? 'ipv6' : 'ipv4')
  }

  #add(entry: string): void {
    const [address = '', prefix, ...rest] = entry.split('/')
    const family = rest.length > 0 ? 0 : isIP(address)
    const bits = prefix === undefined ? null : Number(prefix)
    const isPrefix = bits === null || (/^\d+$/.test(prefix ?? '') && bits <= (family === 6 ? 128 : 32))
    if (family === 0 || !isPrefix) throw new Error(`not an address or network: ${entry}`)
    const type = family === 6 ? 'ipv6' : 'ipv4'
    if (bits === null) this.#trusted.addAddress(address, type)
    else this.#trusted.addSubnet(address, bits, type)
  }
}

/**
 * Default ports vanish and the host is in lower case, as in the origin that browsers send, and without the dot that may
 * end a domain name.
 */
function canonicalOrigin(scheme: string, host: string): string {
  const origin = `${scheme}://${parseHost(host) ?? host}`
  return URL.parse(origin)?.origin ?? origin
}

/** Addresses from the client to the nearest proxy, as far as they are addresses. */
function forwardedHops(request: Request): string[] {
  const field = request.headers.get('forwarded')
  const hops =
    field === null
      ? (request.headers.get('x-forwarded-for') ?? '').split(',')
      : field.split(',').map((element) => parameter(element, 'for') ?? '')
  return hops.map(withoutPort).filter((hop) => isIP(hop) !== 0)
}

function withoutPort(hop: string): string {
  const text = hop.trim()
  const bracketed = /^\[([^\]]+)\]/.exec(text)
  if (bracketed?.[1] !== undefined) return bracketed[1]
  return /^\d+\.\d+\.\d+\.\d+:\d+$/.test(text) ? (text.split(':', 1)[0] ?? '') : text
}

/** The parameter of the last element: the one that the trusted proxy itself wrote. */
function forwarded(request: Request, name: string): string | null {
  const last = request.headers.get('forwarded')?.split(',').at(-1)
  return last === undefined ? null : parameter(last, name)
}

function parameter(element: string, name: string): string | null {
  for (const pair of element.split(';')) {
    const [key = '', value = ''] = pair.split('=', 2)
    if (key.trim().toLowerCase() === name) return value.trim().replace(/^"(.*)"$/, '$1')
  }
  return null
}

function lastOf(request: Request, field: string): string | null {
  const last = request.headers.get(field)?.split(',').at(-1)?.trim()
  return last === undefined || last === '' ? null : last
}
