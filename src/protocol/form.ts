/**
 * Strict decoding of `application/x-www-form-urlencoded`, in queries and bodies alike (SUB-01, PUB-03).
 * It splits and unescapes as the URL standard does, keeps order and repeats, and reports bytes that are not
 * UTF-8 instead of replacing them: a genuine U+FFFD is legal, so it cannot mark an error (GEN-05).
 */

import { type ErrorCode, ProtocolError } from './error.ts'

/** One name and value. `null` stands for bytes that are not UTF-8. */
export interface FormPair {
  readonly name: string | null
  readonly value: string | null
}

/** The rules for the fields of a form. */
export interface FormRules {
  /**
   * Whether a name means anything; null is one that is not UTF-8. The decoder looks at no value of another name. It
   * asks only about the beginning of a name of more than 64 bytes.
   */
  readonly isKnown: (name: string | null) => boolean
  /** The most pairs, of all names together; 0 is no limit. */
  readonly pairsMax: number
  /** The refusal of more pairs. */
  readonly refusal: ErrorCode
}

/**
 * The pairs of a request body whose names mean something, in order. Bytes that are not UTF-8 are `null`. Throws the
 * refusal of the rules, and nothing else: a megabyte of pairs that mean nothing would take 0.3 s.
 */
export function decodeForm(bytes: Uint8Array, rules: FormRules = everything): FormPair[] {
  const pairs: FormPair[] = []
  let count = 0
  for (let start = 0; start < bytes.length; start++) {
    if (bytes[start] === AMPERSAND) continue
    const ampersand = bytes.indexOf(AMPERSAND, start)
    const end = ampersand === -1 ? bytes.length : ampersand
    if (rules.pairsMax > 0 && ++count > rules.pairsMax) {
      throw new ProtocolError(rules.refusal, `a form has at most ${rules.pairsMax} fields`)
    }
    const pair = decodePair(bytes.subarray(start, end), rules)
    if (pair !== null) pairs.push(pair)
    start = end
  }
  return pairs
}

/** The pairs of a query component as it stands in the URL, without the question mark, by the same rules. */
export function decodeQuery(query: string, rules: FormRules = everything): FormPair[] {
  return query === '' ? [] : decodeForm(encoder.encode(query), rules)
}

/** The first value of a parameter in the query of a URL; null when there is none, or it is not UTF-8. */
export function queryValue(url: string, wanted: string): string | null {
  // Nearly no request has what is looked for, and to look is cheaper than to decode.
  if (!url.includes(`${wanted}=`)) return null
  const query = url.slice(url.indexOf('?') + 1)
  const [first] = decodeQuery(query, { ...everything, isKnown: (name) => name === wanted })
  return first?.value ?? null
}
const everything: FormRules = { isKnown: () => true, pairsMax: 0, refusal: 'invalid-form' }

/** Fields without meaning that a form may have beside the others. */
export const UNKNOWN_FIELDS_MAX = 1000

/** The longest name that means something, with every character percent-encoded, has 48 bytes. */
const NAME_BYTES_MAX = 64

const AMPERSAND = 0x26
const EQUALS = 0x3d
const PERCENT = 0x25
const PLUS = 0x2b
const SPACE = 0x20

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const lenient = new TextDecoder('utf-8', { ignoreBOM: true })

function decodePair(bytes: Uint8Array, { isKnown }: FormRules): FormPair | null {
  const equals = bytes.indexOf(EQUALS)
  const name = equals === -1 ? bytes : bytes.subarray(0, equals)
  if (name.length > NAME_BYTES_MAX && !isKnown(beginningOf(name))) return null
  const decoded = decodeText(name)
  if (!isKnown(decoded)) return null
  return { name: decoded, value: equals === -1 ? '' : decodeText(bytes.subarray(equals + 1)) }
}

/** The beginning of a name; only its ASCII characters are sure to be right. */
function beginningOf(name: Uint8Array): string {
  return lenient.decode(unescaped(name.subarray(0, NAME_BYTES_MAX)))
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
