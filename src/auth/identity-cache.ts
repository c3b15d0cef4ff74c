import type { Identity } from '../protocol/grant.ts'
import type { KeySource } from './key-source.ts'

/** A verified identity, and the keys on which it rests. */
export interface Verified {
  readonly identity: Identity
  readonly source: KeySource
  /** The revision of the source, from before the verification. */
  readonly revision: number
  /** The bytes that the identity holds. */
  readonly bytes: number
}

/** Identities by the hash of their token. Over a limit the cache forgets those that it was asked for longest ago. */
export class IdentityCache {
  readonly #entriesMax: number
  readonly #bytesMax: number
  // A Map iterates in insertion order, and a hit is inserted again: the first entry is the oldest.
  readonly #entries = new Map<string, Verified>()
  #newest: string | null = null
  #bytes = 0

  constructor(entriesMax: number, bytesMax: number) {
    this.#entriesMax = entriesMax
    this.#bytesMax = bytesMax
  }

  get size(): number {
    return this.#entries.size
  }

  /** The identity, or null when it is unknown or its keys may have been withdrawn. Times are not checked. */
  find(key: string): Identity | null {
    const entry = this.#entries.get(key)
    if (entry === undefined) return null
    if (entry.source.revision !== entry.revision) {
      this.delete(key)
      return null
    }
    if (key !== this.#newest) this.#renew(key, entry)
    return entry.identity
  }

  add(key: string, entry: Verified): void {
    if (entry.bytes > this.#bytesMax) return
    this.delete(key)
    this.#bytes += entry.bytes
    this.#renew(key, entry)
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#entriesMax && this.#bytes <= this.#bytesMax) return
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0
    this.#entries.delete(key)
  }

  #renew(key: string, entry: Verified): void {
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    this.#newest = key
  }
}
