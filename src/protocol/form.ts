/**
 * Strict decoding of `application/x-www-form-urlencoded`, in queries and bodies alike (SUB-01, PUB-03).
 * It splits and unescapes as the URL standard does, keeps order and repeats, and reports bytes that are not
 * UTF-8 instead of replacing them: a genuine U+FFFD is legal, so it cannot mark an error (GEN-05).
 */

/** One name and value. `null` stands for bytes that are not UTF-8. */
export interface FormPair {
  readonly name: string | null
  readonly value: string | null
}

/** The pairs of a request body, in order. Never throws: what is not UTF-8 is `null`. */
export function decodeForm(bytes: Uint8Array): FormPair[] {
  const pairs: FormPair[] = []
  let start = 0
  while (start < bytes.length) {
    const ampersand = bytes.indexOf(AMPERSAND, start)
    const end = ampersand === -1 ? bytes.length : ampersand
    if (end > start) pairs.push(decodePair(bytes.subarray(start, end)))
    start = end + 1
  }
  return pairs
}

/** The pairs of a query component as it stands in the URL, without the question mark. */
export function decodeQuery(query: string): FormPair[] {
  return query === '' ? [] : decodeForm(encoder.encode(query))
}

/** The first value of a parameter in the query of a URL; null when there is none, or it is not UTF-8. */
export function queryValue(url: string, wanted: string): string | null {
  // Nearly no request has what is looked for, and to look is cheaper than to decode.
  if (!url.includes(`${wanted}=`)) return null
  const query = url.slice(url.indexOf('?') + 1)
  return decodeQuery(query).find(({ name }) => name === wanted)?.value ?? null
}

const AMPERSAND = 0x26
const EQUALS = 0x3d
const PERCENT = 0x25
const PLUS = 0x2b
const SPACE = 0x20

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodePair(bytes: Uint8Array): FormPair {
  const equals = bytes.indexOf(EQUALS)
  if (equals === -1) return { name: decodeText(bytes), value: '' }
  return { name: decodeText(bytes.subarray(0, equals)), value: decodeText(bytes.subarray(equals + 1)) }
}

function decodeText(bytes: Uint8Array): string | null {
  const plain = bytes.indexOf(PERCENT) === -1 && bytes.indexOf(PLUS) === -1
  try {
    return decoder.decode(plain ? bytes : unescaped(bytes))
  } catch {
    return null
  }
}

/** `+` is a space, `%` and two hex digits are one byte, a stray `%` stands for itself (SUB-01). */
function unescaped(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === PLUS) {
      out[length++] = SPACE
      continue
    }
    const value = byte === PERCENT ? hexPair(bytes[at + 1], bytes[at + 2]) : -1
    if (value !== -1) at += 2
    out[length++] = value === -1 ? byte : value
  }
  return out.subarray(0, length)
}

function hexPair(high: number | undefined, low: number | undefined): number {
  const left = hexDigit(high)
  const right = hexDigit(low)
  return left === -1 || right === -1 ? -1 : left * 16 + right
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
