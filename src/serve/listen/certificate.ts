import { readFileSync, statSync } from 'node:fs'
import type { Settings } from '../../config/load.ts'

/** A certificate chain with its private key, both as PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  /** When it expires, in milliseconds since the epoch. */
  readonly expiresAt: number
}

type Files = Settings['tls']

/**
 * Reads the configured pair; null where TLS is off. Throws a plain Error that names the setting and the file,
 * and never shows the content.
 */
export function readCertificate({ certFile, keyFile }: Files): Certificate | null {
  if (certFile === null || keyFile === null) return null
  const cert = readText('tls.cert_file', certFile)
  const key = readText('tls.key_file', keyFile)
  const expiresAt = readExpiry(cert, certFile)
  // Bun takes a key or a certificate that is empty, and then fails at every handshake.
  if (!key.includes('PRIVATE KEY-----'))
    throw new Error(`tls.key_file: ${keyFile} holds no private key in PEM`)
  try {
    process.getBuiltinModule('node:tls').createSecureContext({ cert, key })
  } catch (error) {
    const code = codeOf(error)
    if (!code.includes('MISMATCH')) {
      throw new Error(`tls.key_file: ${keyFile} cannot be used with ${certFile} (${code})`)
    }
    throw new Error(`tls.key_file: ${keyFile} is not the key of the certificate in ${certFile}`)
  }
  return { cert, key, expiresAt }
}

/**
 * Runs the function when one of the files has changed and the pair has rested for one look, so that a
 * certificate is not taken while its key is still to come. Links are followed. Returns how to stop.
 */
export function watchCertificate(files: () => Files, onChange: () => void, everyMs: number): () => void {
  let seen = stamp(files())
  let hasChanged = false
  const timer = setInterval(() => {
    const now = stamp(files())
    const isResting = now === seen
    seen = now
    if (isResting && hasChanged) onChange()
    hasChanged = !isResting
  }, everyMs)
  timer.unref()
  return () => clearInterval(timer)
}

function readText(setting: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${setting}: ${path} cannot be read (${codeOf(error)})`)
  }
}

function readExpiry(cert: string, path: string): number {
  const { X509Certificate } = process.getBuiltinModule('node:crypto')
  try {
    return Date.parse(new X509Certificate(cert).validTo)
  } catch {
    throw new Error(`tls.cert_file: ${path} holds no certificate in PEM`)
  }
}

/** A text that differs between two states of the files. A file that is away has a state too. */
function stamp({ certFile, keyFile }: Files): string {
  return [certFile, keyFile].map((path) => (path === null ? '' : stampOf(path))).join(' ')
}

function stampOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats === undefined ? 'none' : `${path} ${stats.ino} ${stats.size} ${stats.mtimeMs}`
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}
