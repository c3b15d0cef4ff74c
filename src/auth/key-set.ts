import { type CryptoKey, createLocalJWKSet, errors, type JSONWebKeySet, type LocalJWKSet } from 'jose'
import { ProtocolError } from '../protocol/error.ts'
import { isSignedBy, type KeySource } from './key-source.ts'

/**
 * The JWK Set of an issuer (AUT-41).
 *
 * Life cycle: `openKeySet` starts a load and returns at once; a token that comes first waits for it. Every
 * load arms a timer for the next: after failures sooner, then at growing intervals. A token that no key
 * verifies asks for a load too, because the issuer may have rotated its keys, but not more often than the
 * cooldown allows. Keys once loaded stay in use until a later load replaces them: an issuer that is down
 * stops nobody. `close` disarms.
 */
export function openKeySet(uri: string, algorithms: readonly string[], outside: Outside): KeySource {
  return new KeySet(uri, algorithms, outside)
}

/** The clock, the timer and the network of a key set, which come in from outside. */
export interface Outside {
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  /** Runs once after the delay, unless the returned function is called before. */
  readonly schedule: (run: () => void, delayMs: number) => () => void
  /** Told about each load that failed, in words for the operator. */
  readonly onFailure: (problem: string) => void
}

const REFRESH_MS = 600_000
const RETRY_MS = 5_000
const COOLDOWN_MS = 30_000
// With no key at all every token waits, so the set tries a load sooner.
const EMPTY_COOLDOWN_MS = 1_000
const TIMEOUT_MS = 5_000
const BYTES_MAX = 1024 * 1024
const KEYS_MAX = 100
/**
 * The most verifications that a wrong token may cost. Where several keys fit the algorithm, issuers name theirs by
 * `kid` (OpenID Connect Core 1.0 section 10.1); a set that the issuer is rotating has few.
 */
const KEYS_TRIED_MAX = 8

interface Loaded {
  readonly text: string
  readonly select: LocalJWKSet
}

class KeySet implements KeySource {
  readonly algorithms: readonly string[]
  revision = 0
  readonly #uri: string
  readonly #outside: Outside
  #loaded: Loaded | null = null
  #loading: Promise<void> | null = null
  #nextLoadAt = 0
  #retryMs = RETRY_MS
  #disarm: () => void = () => {}
  #closed = false

  constructor(uri: string, algorithms: readonly string[], outside: Outside) {
    this.algorithms = algorithms
    this.#uri = uri
    this.#outside = outside
    void this.#load()
  }

  async verify(compact: string, header: { readonly alg: string; readonly kid?: string }): Promise<boolean> {
    if (this.#loaded === null) await this.#loadIfDue()
    if (this.#loaded === null) throw new ProtocolError('keys-unavailable', 'no key set could be loaded yet')
    if (await hasSigned(this.#loaded, compact, header)) return true
    const tried = this.#loaded
    await this.#loadIfDue()
    return this.#loaded !== tried && hasSigned(this.#loaded, compact, header)
  }

  refresh(): void {
    void this.#load()
  }

  close(): void {
    this.#closed = true
    this.#disarm()
  }

  #loadIfDue(): Promise<void> {
    if (this.#loading !== null) return this.#loading
    return this.#outside.clock() < this.#nextLoadAt ? Promise.resolve() : this.#load()
  }

  /** Never rejects: a failure is reported, and the next try is armed. */
  #load(): Promise<void> {
    this.#loading ??= this.#replace().then((problem) => {
      this.#loading = null
      if (!this.#closed) this.#prepareNext(problem)
    })
    return this.#loading
  }

  #prepareNext(problem: string | null): void {
    if (problem !== null) this.#outside.onFailure(problem)
    this.#nextLoadAt = this.#outside.clock() + (this.#loaded === null ? EMPTY_COOLDOWN_MS : COOLDOWN_MS)
    this.#disarm()
    this.#disarm = this.#outside.schedule(
      () => void this.#load(),
      problem === null ? REFRESH_MS : this.#retryMs,
    )
    this.#retryMs = problem === null ? RETRY_MS : Math.min(this.#retryMs * 2, REFRESH_MS)
  }

  /** Loads the set and takes it in use. Answers with the problem, or null. */
  async #replace(): Promise<string | null> {
    try {
      const text = await fetchText(this.#uri, this.#outside.fetch)
      if (text === this.#loaded?.text) return null
      this.#loaded = { text, select: readKeySet(text) }
      this.revision += 1
      return null
    } catch (error) {
      return problemOf(error)
    }
  }
}

/** The problem in our words: those of the runtime are about its own options. */
function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return 'the key set could not be loaded'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null
  return code === null ? error.message : `the key set could not be fetched (${code})`
}

/** `kid` is only a hint (AUT-24): without a key of that name, the set tries the first keys of the right kind. */
async function hasSigned(
  set: Loaded,
  compact: string,
  header: { alg: string; kid?: string },
): Promise<boolean> {
  const named = header.kid === undefined ? [] : await keysFor(set, header)
  const keys = named.length > 0 ? named : await keysFor(set, { alg: header.alg })
  for (const key of keys) {
    if (await isSignedBy(compact, key, header.alg)) return true
  }
  return false
}

async function keysFor(set: Loaded, header: { alg: string; kid?: string }): Promise<CryptoKey[]> {
  try {
    return [await set.select(header)]
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return await firstOf(error)
    // Keys that cannot be imported are as good as absent: another one may still fit.
    return []
  }
}

async function firstOf(matching: AsyncIterable<CryptoKey>): Promise<CryptoKey[]> {
  const keys: CryptoKey[] = []
  for await (const key of matching) {
    keys.push(key)
    if (keys.length === KEYS_TRIED_MAX) break
  }
  return keys
}

function readKeySet(text: string): LocalJWKSet {
  const value = parseJson(text)
  if (!isKeySet(value)) throw new Error('what the address answered is not a JWK Set')
  if (value.keys.length > KEYS_MAX) throw new Error(`the key set holds more than ${KEYS_MAX} keys`)
  return createLocalJWKSet(value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isKeySet(value: unknown): value is JSONWebKeySet {
  return typeof value === 'object' && value !== null && 'keys' in value && Array.isArray(value.keys)
}

/** Redirects are refused: they would lead around the rules for the address (SEC-11). */
async function fetchText(uri: string, fetch: Outside['fetch']): Promise<string> {
  const response = await fetch(uri, {
    redirect: 'manual',
    headers: { accept: 'application/jwk-set+json, application/json' },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`the key set was answered with status ${response.status}`)
  }
  return readLimited(response)
}

async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > BYTES_MAX) throw new Error(`the key set is larger than ${BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}
