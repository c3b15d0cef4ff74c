import { isProtocolString } from '../../protocol/topic.ts'

/** Field values are bytes, which Bun shows and takes as Latin-1 (REC-19). */

/** The text whose UTF-8 bytes the field holds; null when they are not UTF-8. */
export function fromFieldValue(field: string): string | null {
  try {
    return utf8.decode(Uint8Array.from(field, (char) => char.charCodeAt(0)))
  } catch {
    return null
  }
}

/** The UTF-8 bytes of an id as a field value. Throws a plain Error for what could break out of the field. */
export function toFieldValue(id: string): string {
  if (!isProtocolString(id)) throw new Error('an id that is no protocol string cannot stand in a field')
  let value = ''
  for (const byte of encoder.encode(id)) value += String.fromCharCode(byte)
  return value
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()
