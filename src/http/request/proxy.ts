import { BlockList, isIP } from 'node:net'
import { customaryFields, type ForwardedFields, standardFields } from '../forwarded.ts'
import { parseHost } from './host.ts'

/** The fields that the proxies write: `Forwarded`, the `X-Forwarded-*`, or `auto` for either. */
export type ProxyFields = 'auto' | 'forwarded' | 'x-forwarded'

/**
 * The proxies in front of the hub whose word on the client the hub believes: `Forwarded` (RFC 7239) or the
 * `X-Forwarded-*` fields. From anybody else those fields mean nothing.
 *
 * A proxy writes one kind and passes the other on as the client sent it. One request does not tell which is which, so
 * where both speak of addresses and contradict each other, the hub believes neither.
 */
export class Proxies {
  readonly #trusted = new BlockList()
  readonly #isUnixTrusted: boolean
  readonly #fields: ProxyFields
  /** Whether the hub trusts any proxy; otherwise nobody needs to ask for the peer. */
  readonly isUsed: boolean

  /** Addresses, networks such as `10.0.0.0/8`, or `unix`. Throws a plain Error that names a bad entry. */
  constructor(trusted: readonly string[], fields: ProxyFields = 'auto') {
    this.#isUnixTrusted = trusted.includes('unix')
    this.#fields = fields
    this.isUsed = trusted.length > 0
    for (const entry of trusted) if (entry !== 'unix') this.#add(entry)
  }

  /**
   * The nearest address that is not a trusted proxy; null when there is none. Addresses left of one that cannot be read
   * are hearsay (RFC 7239 section 8.1): then the answer is the proxy that wrote it.
   */
  clientAddress(request: Request, peer: string | null): string | null {
    if (!this.isTrusted(peer)) return peer
    const told = this.#told(request, peer)
    // One name for all of these clients, so that they share the limits of one address.
    if (told === 'contradiction') return peer ?? 'unix'
    const [address = peer] = told.map(({ client }) => client)
    return address
  }

  /** Scheme and host as the client used them. `fallback`: those of the connection itself. */
  origin(request: Request, peer: string | null, fallback: { scheme: string; host: string }): string {
    const told = this.isTrusted(peer) ? this.#told(request, peer) : 'contradiction'
    if (told === 'contradiction') return canonicalOrigin(fallback.scheme, fallback.host)
    const scheme = agreed(told.map(({ fields, trustedHops }) => fields.proto(trustedHops)))
    const host = agreed(told.map(({ fields, trustedHops }) => fields.host(trustedHops)))
    return canonicalOrigin(scheme ?? fallback.scheme, host ?? fallback.host)
  }

  isTrusted(address: string | null): boolean {
    if (address === null) return this.#isUnixTrusted
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
    const family = isIP(plain)
    return family !== 0 && this.#trusted.check(plain, family === 6 ? 'ipv6' : 'ipv4')
  }

  /** The fields that the hub believes; the kind whose addresses it believes comes first. */
  #told(request: Request, peer: string | null): readonly Told[] | 'contradiction' {
    const standard = this.#fields === 'x-forwarded' ? null : standardFields(request)
    const customary = this.#fields === 'forwarded' ? null : customaryFields(request)
    if (standard === null) return customary === null ? [] : [this.#walk(customary, peer)]
    if (customary === null) return [this.#walk(standard, peer)]
    if (standard.hasHops && customary.hasHops) {
      const both = [this.#walk(customary, peer), this.#walk(standard, peer)]
      return both[0]?.client === both[1]?.client ? both : 'contradiction'
    }
    // The proxy writes X-Forwarded-For, so that the other field is the client's.
    if (customary.hasHops) return [this.#walk(customary, peer)]
    const walked = this.#walk(standard, peer)
    return [walked, { ...walked, fields: customary }]
  }

  #walk(fields: ForwardedFields, peer: string | null): Told {
    let client = peer
    let trustedHops = 0
    for (const hop of fields.hops.toReversed()) {
      if (!this.isTrusted(client)) break
      trustedHops++
      if (hop === null) return { fields, client, trustedHops }
      client = hop
    }
    return { fields, client, trustedHops: this.isTrusted(client) ? trustedHops + 1 : trustedHops }
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

/** One kind of fields, with the number of trusted proxies that it tells of. */
interface Told {
  readonly fields: ForwardedFields
  readonly client: string | null
  /** The number of trusted proxies in a row, the peer included. */
  readonly trustedHops: number
}

/** The value on which all fields agree that have one, or null. */
function agreed(values: readonly (string | null)[]): string | null {
  const said = values.filter((value) => value !== null).map((value) => value.toLowerCase())
  const [first] = said
  return first !== undefined && said.every((value) => value === first) ? first : null
}

/**
 * Default ports vanish and the host is in lower case, as in the origin that browsers send, and without the dot that may
 * end a domain name.
 */
function canonicalOrigin(scheme: string, host: string): string {
  const origin = `${scheme}://${parseHost(host) ?? host}`
  return URL.parse(origin)?.origin ?? origin
}
