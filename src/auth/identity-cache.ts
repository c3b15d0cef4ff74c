import type { Identity } from '../protocol/grant.ts'
import type { KeySource } from './key-source.ts'

/** A verified identity, and the keys it rests on. */
export interface Verified {
  readonly identity: Identity
  readonly source: KeySource
  /** Of the source, from before the verification. */
  readonly revision: number
}

/** Identities by the hash of their token. Over its limit it forgets the one that was asked for longest ago. */
export class IdentityCache {
  readonly #entriesMax: number
  // A Map iterates in insertion order, and a hit is inserted again: the first entry is the oldest.
  readonly #entries = new Map<string, Verified>()
  #newest: string | null = null

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
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
    this.#renew(key, entry)
    if (this.#entries.size <= this.#entriesMax) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }

  #renew(key: string, entry: Verified): void {
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    this.#newest = key
  }
}
