/**
 * The mistake in the address of a key set, or null (AUT-41, SEC-11). Tokens are only as safe as their
 * keys, so keys travel encrypted or not at all over a network, and an address of the internal network is
 * refused. This function resolves no name. `isInsecure`: the operator has allowed both for this key set, as where
 * the containers of one network reach each other without TLS.
 */
export function keyAddressProblem(address: string, isInsecure: boolean): string | null {
  const url = URL.parse(address)
  if (url === null) return 'not an absolute URL'
  if (url.protocol === 'file:') return url.host === '' ? null : 'a file URL has no host, or localhost'
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return 'the scheme is none of https, http and file'
  if (url.username !== '' || url.password !== '') return 'the URL holds a user name or a password'
  if (isInsecure || isLoopback(url.hostname)) return null
  if (url.protocol === 'http:') return `http is for loopback addresses only: use https${OR_ALLOW}`
  return isInternal(url.hostname) ? `an address of an internal network${OR_ALLOW}` : null
}

const OR_ALLOW = ', or allow it for this key set with jwks_insecure'

function isLoopback(host: string): boolean {
  if (/^([^.]+\.)*localhost\.?$/.test(host) || host === '[::1]') return true
  return ipv4(host)?.[0] === 127
}

function isInternal(host: string): boolean {
  const octets = ipv4(host)
  if (octets !== null) return isInternalIpv4(octets)
  // Unspecified, unique local, link-local. The URL parser has already shortened and lowered the address.
  return host === '[::]' || /^\[(f[cd]|fe[89ab])/.test(host)
}

function isInternalIpv4([first = 0, second = 0]: readonly number[]): boolean {
  switch (first) {
    case 0:
    case 10:
      return true
    case 100:
      return second >= 64 && second < 128
    case 169:
      return second === 254
    case 172:
      return second >= 16 && second < 32
    case 192:
      return second === 168
    default:
      return first >= 224
  }
}

/** The four numbers of an IPv4 address, also of one inside IPv6 (`::ffff:10.0.0.1`), or null. */
function ipv4(host: string): readonly number[] | null {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return host.split('.').map(Number)
  const [, high, low] = /^\[::ffff:([0-9a-f]+):([0-9a-f]+)\]$/.exec(host) ?? []
  if (high === undefined || low === undefined) return null
  return [high, low].flatMap((part) => {
    const value = Number.parseInt(part, 16)
    return [value >> 8, value & 0xff]
  })
}
