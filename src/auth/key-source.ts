import { compactVerify, errors } from 'jose'
import type { Key } from './keys.ts'

/** The keys of one issuer for one role, from any source. Keys are never pooled (AUT-26). */
export interface KeySource {
  /** The `alg` values that a token may have. They come from the configuration only, never from the token. */
  readonly algorithms: readonly string[]
  /** Changes whenever keys may have been withdrawn: tokens that were verified before must be verified again. */
  readonly revision: number
  /**
   * Whether a key of this source has signed the compact JWS. The caller has checked `alg` and `crit`.
   * Rejects with `keys-unavailable` while no key could be loaded at all.
   */
  verify(compact: string, header: { readonly alg: string; readonly kid?: string }): Promise<boolean>
  /** Loads the keys of a key set again. The keys in use stay until then. */
  refresh(): void
  /** Stops all work in the background. */
  close(): void
}

/** One configured key. */
export function staticKey(key: Key, algorithm: string): KeySource {
  return {
    algorithms: [algorithm],
    revision: 0,
    verify: (compact) => isSignedBy(compact, key, algorithm),
    refresh: () => {},
    close: () => {},
  }
}

/** Whether the key has signed the token. A key that cannot be used for the algorithm has not. */
export async function isSignedBy(compact: string, key: Key, algorithm: string): Promise<boolean> {
  try {
    await compactVerify(compact, key, { algorithms: [algorithm] })
    return true
  } catch (error) {
    // A TypeError is how jose refuses a key: an RSA modulus of a key set that is too short, for example.
    if (error instanceof errors.JOSEError || error instanceof TypeError) return false
    throw error
  }
}
