import { describe, expect, test } from 'bun:test'
import { type Entry, type Head, type Position, START, type Transport } from '../../src/hub/transport.ts'
import { envelope, ids, readAll } from './contract.ts'

/** A log whose tail can be made to lose its place. */
export interface LosableLog {
  readonly transport: Transport
  /** Entries are stored that the tail never gets. */
  miss(count: number): Promise<void>
  /** Another, empty log stands in the place of this one, and the tail has found out. */
  replace(): Promise<void>
}

/** What holds for a tail that loses its place, whatever the log is made of. */
export function tailContract(name: string, create: () => Promise<LosableLog>): void {
  async function open() {
    const log = await create()
    const seen: Entry[] = []
    const lost: Head[] = []
    const head = await log.transport.open(
      (entry) => seen.push(entry),
      (head) => lost.push(head),
    )
    return { ...log, seen, lost, head }
  }

  describe(`${name}: a tail that loses its place`, () => {
    test('it says once where it goes on, and the entries that it missed are in the log', async () => {
      const { transport, miss, seen, lost } = await open()
      await transport.append(envelope('a'))
      await miss(3)
      expect(lost).toHaveLength(1)
      const [head] = lost
      const until = head?.position ?? START
      expect(until).toBeGreaterThan(seen[0]?.position ?? START)
      const kept = await readAll(transport, until, seen[0]?.position)
      expect(kept).toHaveLength(3)
      expect([kept.at(-1)?.position, kept.at(-1)?.id]).toEqual([head?.position, head?.id ?? undefined])
    })

    test('later entries come after that place, each once', async () => {
      const { transport, miss, seen, lost } = await open()
      await transport.append(envelope('a'))
      await miss(2)
      await transport.append(envelope('b'))
      await transport.append(envelope('c'))
      expect(ids(seen)).toEqual(['a', 'b', 'c'])
      const position = lost[0]?.position ?? Number.POSITIVE_INFINITY
      expect(seen.slice(1).every((entry) => entry.position > position)).toBe(true)
    })

    test('a replaced log is followed from its own head, and knows nothing of the one before', async () => {
      const { transport, replace, seen, lost } = await open()
      await transport.append(envelope('a'))
      await replace()
      expect(lost).toHaveLength(1)
      expect(await transport.find('a')).toBeNull()
      await transport.append(envelope('b'))
      expect(ids(seen)).toEqual(['a', 'b'])
      expect(seen[1]?.position).toBeGreaterThan(lost[0]?.position ?? Number.POSITIVE_INFINITY)
      expect(await transport.find('b')).toBe(seen[1]?.position as Position)
    })

    test('an append that was under way in the log before is refused, or stored, but not forgotten', async () => {
      const { transport, replace, seen } = await open()
      const appending = transport.append(envelope('a')).then(
        () => null,
        (error) => error,
      )
      await replace()
      const refused = await appending
      if (refused === null) expect(ids(seen)).toEqual(['a'])
      else expect(refused).toMatchObject({ code: 'store-failed' })
    })
  })
}
