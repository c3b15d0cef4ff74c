/** The examples of the protocol contract, as they stand beside the checkout. */

export interface VectorBase {
  readonly id: string
  readonly why: string
  readonly level: 'must' | 'should' | 'ref' | 'choice'
}

/** Reads one vector file. Throws when it is missing or empty: a run without vectors proves nothing. */
export async function readVectors<Vector extends VectorBase>(name: string): Promise<readonly Vector[]> {
  const file = Bun.file(new URL(`../../../shared/vectors/${name}.json`, import.meta.url))
  const vectors: readonly Vector[] = await file.json()
  if (vectors.length === 0) throw new Error(`no vectors in ${name}`)
  return vectors
}

/** The hub of the vectors, unless one names another. */
export const vectorHubUrl = 'https://hub.example.com/.well-known/mercure'

/** An event of a history; `seq` names it, because ids may repeat. */
export interface VectorEvent {
  readonly seq: number
  readonly id: string
  readonly topics: readonly string[]
  readonly private: boolean
}

/** A case of `last-event-id`. */
export interface CursorVector extends VectorBase {
  readonly history: readonly VectorEvent[]
  readonly request: { readonly header?: string; readonly query?: string; readonly body?: string }
  readonly matchers: readonly { readonly match_type: string; readonly match: string }[]
  readonly grants: readonly string[]
  readonly live: readonly VectorEvent[]
  readonly race?: string
  readonly discarded?: readonly string[]
  readonly noHistory?: boolean
  readonly expect: {
    readonly mercureLastEventId: string | null
    readonly replayed: readonly number[]
    readonly live: readonly number[]
  }
}
