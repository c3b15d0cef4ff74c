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
