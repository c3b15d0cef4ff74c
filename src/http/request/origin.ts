/**
 * Lists of web origins (SUB-102): `*`, `null`, `scheme://host[:port]`, one wildcard label as in
 * `https://*.example.com`, a whole custom scheme as in `capacitor://`, and `:*` for any port.
 */
export interface OriginList {
  /** Whether `*` stands in the list. */
  readonly isOpen: boolean
  /** Whether the origin, as a browser writes it, is in the list. */
  includes(origin: string): boolean
}

/** Throws a plain Error that names an entry with no scheme, a path, user info, a query or a fragment. */
export function parseOrigins(entries: readonly string[]): OriginList {
  const tests = entries.map(parseEntry)
  const exact = new Set(entries.filter((entry) => !entry.includes('*')))
  return {
    isOpen: entries.includes('*'),
    includes: (origin) => !noOrigin.test(origin) && (exact.has(origin) || tests.some((test) => test(origin))),
  }
}

/** Characters of no origin: URL parsers read a backslash as a slash, drop tabs, and take no star in a host. */
const noOrigin = /[^\x21-\x7e]|[*\\?#@]/
const syntax = /^([a-z][a-z0-9+.-]*):\/\/(?:(\*\.)?([^*/\\?#@:\s\p{Cc}]+|\[[0-9a-f:.]+\])(?::(\d+|\*))?)?$/u

function parseEntry(entry: string): (origin: string) => boolean {
  if (entry === '*') return () => true
  if (entry === 'null') return (origin) => origin === 'null'
  const parts = syntax.exec(entry.toLowerCase())
  if (parts === null) throw new Error(`not an origin: ${entry}`)
  const [, scheme = '', wildcard, host, port] = parts
  if (host === undefined) return (origin) => origin.startsWith(`${scheme}://`)
  const own = `${scheme}://${host}`
  return (origin) => {
    const split = /^(.*?)(?::(\d+))?$/.exec(origin)
    if (split === null) return false
    const [, base = '', originPort] = split
    if (port !== '*' && !samePort(scheme, port, originPort)) return false
    if (wildcard === undefined) return base === own
    const labels = base.slice(`${scheme}://`.length, -`.${host}`.length)
    return base === `${scheme}://${labels}.${host}` && /^[^/?#@:]+$/.test(labels)
  }
}

const defaultPorts: Readonly<Record<string, string>> = { http: '80', https: '443' }

function samePort(scheme: string, left: string | undefined, right: string | undefined): boolean {
  return (left ?? defaultPorts[scheme]) === (right ?? defaultPorts[scheme])
}
