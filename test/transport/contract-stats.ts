import { describe, expect, test } from 'bun:test'
import type { Transport } from '../../src/hub/transport.ts'
import { envelope } from './contract.ts'

/** That the figures of a log are right, whatever it is made of. `open` opens one that keeps the newest `kept` entries. */
export function statsContract(name: string, kept: number, open: () => Promise<Transport>): void {
  describe(`${name}: the figures`, () => {
    test('of a new log are nothing kept and nothing dropped', async () => {
      const transport = await open()
      expect(await transport.stats()).toMatchObject({ rows: 0, dropped: 0, bytes: 0, oldestAt: null })
    })

    test('count an entry as kept or as dropped from when it is appended', async () => {
      const transport = await open()
      for (let count = 1; count <= 5; count++) {
        await transport.append(envelope(`${count}`))
        const rows = Math.min(count, kept)
        expect(await transport.stats()).toMatchObject({ rows, dropped: count - rows })
      }
    })
  })
}
