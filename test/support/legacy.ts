import type { JsonObject } from '../../src/protocol/grant.ts'
import { readVectors, type VectorBase } from './vectors.ts'

/** A case of `legacy-claims.json`; which members it has depends on its kind. */
export interface LegacyVector extends VectorBase {
  readonly kind: 'selector' | 'claim' | 'request' | 'document'
  readonly informative?: boolean
  readonly selector?: string
  readonly topic?: string
  /** The version that the hub is compatible with; null: it speaks 1.0 alone. */
  readonly compat?: 7 | 8 | null
  readonly header?: JsonObject
  readonly claims?: JsonObject
  /** Seconds since the epoch. */
  readonly now?: number
  readonly request?: LegacyRequest
  readonly hub?: { readonly anonymous?: boolean; readonly publish_origins?: readonly string[] }
  readonly history?: readonly string[]
  readonly input?: JsonObject
  readonly expect: unknown
}

export interface LegacyRequest {
  readonly method: string
  readonly target: string
  readonly form?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The claims of a token in the Authorization field. */
  readonly token?: JsonObject
}

/** The cases of `legacy-claims.json` that are to be tested. */
export async function readLegacyVectors(): Promise<readonly LegacyVector[]> {
  return (await readVectors<LegacyVector>('legacy-claims')).filter(({ informative }) => informative !== true)
}
