import { firstLine } from './printable.ts'

/** Failures in words for a user. The runtime's own words may quote source, and speak of its own options. */

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Why something outside failed, as the end of a sentence: the meaning of the code, the code, or else the message. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error)
  if (code !== null) return reasons[code] ?? (isAboutCertificate(code) ? certificateReason(code) : code)
  return nameOf(error) === 'TimeoutError' ? 'it takes too long' : firstLine(messageOf(error), REASON_MAX)
}

/** One line about a failure that nobody foresaw. */
export function unexpectedText(error: unknown): string {
  const code = codeOf(error)
  if (code !== null) return reasonOf(error)
  return `an unexpected ${nameOf(error)}; please report it, with the output of cinnabar version`
}

/** The code that the system or the runtime gave the error, or null. */
export function codeOf(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return typeof code === 'string' && /^\w+$/.test(code) ? code : null
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'error'
}

const reasons: Readonly<Record<string, string>> = {
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was closed',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to the network',
  ENOTFOUND: 'there is no such host',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not UTF-8 text',
  ETIMEDOUT: 'it takes too long',
}

function isAboutCertificate(code: string): boolean {
  return /CERT|CRL|ISSUER|SIGNATURE|^ERR_TLS/.test(code)
}

function certificateReason(code: string): string {
  return `its certificate is not accepted (${code})`
}

const REASON_MAX = 200
