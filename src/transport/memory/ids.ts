import type { Position } from '../../hub/transport.ts'

/**
 * The positions of each id, oldest first. An id is found by a short key, since the ids themselves are with their
 * entries: as texts they took more than everything else about a small entry.
 */
export class Ids {
  readonly #seed: number
  readonly #idAt: (position: Position) => string
  /** Nearly every key has one position. */
  readonly #positions = new Map<number, Position | Position[]>()

  /** `seed`: publishers choose ids, and must not know it. `idAt`: the id of a position that was added. */
  constructor(seed: number, idAt: (position: Position) => string) {
    this.#seed = seed
    this.#idAt = idAt
  }

  /** The key of an id: 32 bits. */
  keyOf(id: string): number {
    return Bun.hash.xxHash32(id, this.#seed)
  }

  /** The earliest position of the id, or null (REC-09). */
  find(id: string): Position | null {
    const found = this.#positions.get(this.keyOf(id)) ?? []
    const positions = Array.isArray(found) ? found : [found]
    return positions.find((position) => this.#idAt(position) === id) ?? null
  }

  /** Adds a position later than all others. */
  add(key: number, position: Position): void {
    const known = this.#positions.get(key)
    if (known === undefined) this.#positions.set(key, position)
    else if (Array.isArray(known)) known.push(position)
    else this.#positions.set(key, [known, position])
  }

  drop(key: number, position: Position): void {
    const known = this.#positions.get(key)
    // Nearly always the first.
    if (Array.isArray(known)) known.splice(known.indexOf(position), 1)
    if (!Array.isArray(known) || known.length === 0) this.#positions.delete(key)
  }

  clear(): void {
    this.#positions.clear()
  }
}
