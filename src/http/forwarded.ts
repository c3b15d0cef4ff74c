import { isIP } from 'node:net'

/** The fields in which proxies tell of the senders in front of them, from the client to the nearest proxy. */
export interface ForwardedFields {
  /** The addresses of the senders; null for one that cannot be read, such as `unknown` (RFC 7239 section 6). */
  readonly hops: readonly (string | null)[]
  /** Whether the fields say anything about addresses. */
  readonly hasHops: boolean
  /**
   * The scheme and the host of the request as the outermost of `trustedHops` trusted proxies got it, in the words of
   * that proxy, or of the nearest one behind it that has any; null when none has.
   */
  proto(trustedHops: number): string | null
  host(trustedHops: number): string | null
}

/** `Forwarded` (RFC 7239), or null when the request has none. */
export function standardFields(request: Request): ForwardedFields | null {
  const field = request.headers.get('forwarded')
  if (field === null) return null
  // A quote that a client left open would swallow what its proxies have written.
  const elements = isBalanced(field) ? splitUnquoted(field, ',').map(readElement) : [unreadable]
  const nearest = (trustedHops: number, of: (element: Element) => string | null) =>
    outermost(elements, trustedHops).reduce<string | null>((found, element) => found ?? of(element), null)
  return {
    hops: elements.map((element) => readAddress(element.for ?? '')),
    hasHops: elements.some((element) => element.for !== null),
    proto: (trustedHops) => nearest(trustedHops, (element) => element.proto),
    host: (trustedHops) => nearest(trustedHops, (element) => element.host),
  }
}

/** The `X-Forwarded-*` fields, each a list of its own, or null when the request has none of them. */
export function customaryFields(request: Request): ForwardedFields | null {
  const addresses = list(request, 'x-forwarded-for')
  const protos = list(request, 'x-forwarded-proto')
  const hosts = list(request, 'x-forwarded-host')
  if (addresses === null && protos === null && hosts === null) return null
  return {
    hops: (addresses ?? []).map(readAddress),
    hasHops: addresses !== null,
    proto: (trustedHops) => said(protos, trustedHops),
    host: (trustedHops) => said(hosts, trustedHops),
  }
}

interface Element {
  readonly for: string | null
  readonly proto: string | null
  readonly host: string | null
}

const unreadable: Element = { for: '', proto: null, host: null }

function readElement(element: string): Element {
  const pairs = splitUnquoted(element, ';').map((pair) => {
    const equals = pair.indexOf('=')
    return [pair.slice(0, Math.max(0, equals)).trim().toLowerCase(), unquoted(pair.slice(equals + 1).trim())]
  })
  const find = (name: string) => pairs.find(([key]) => key === name)?.[1] ?? null
  return { for: find('for'), proto: find('proto'), host: find('host') }
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
}

function isBalanced(text: string): boolean {
  return splitUnquoted(`${text},`, ',').at(-1) === ''
}

/** The parts between separators that stand in no quoted string. */
function splitUnquoted(text: string, separator: string): readonly string[] {
  const parts: string[] = []
  let start = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '"') isQuoted = !isQuoted
    else if (char === '\\' && isQuoted) at++
    else if (char === separator && !isQuoted) {
      parts.push(text.slice(start, at))
      start = at + 1
    }
  }
  return [...parts, text.slice(start)]
}

function list(request: Request, field: string): readonly string[] | null {
  return request.headers.get(field)?.split(',') ?? null
}

/** Each trusted proxy adds one to a list, so older ones are the client's own. Many proxies write a list of one. */
function outermost<Item>(items: readonly Item[], trustedHops: number): readonly Item[] {
  return items.slice(Math.max(0, items.length - trustedHops))
}

function said(items: readonly string[] | null, trustedHops: number): string | null {
  const all = outermost(items ?? [], trustedHops).map((item) => item.trim())
  return all.find((item) => item !== '') ?? null
}

/** An address without brackets and port, in the one spelling that is compared, or null. */
function readAddress(hop: string): string | null {
  const text = hop.trim()
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1]
  const address = bracketed ?? text.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
  return isIP(address) === 0 ? null : address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '')
}
