import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { binaryPath, type RunningHub, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { StreamClient } from '../support/stream-client.ts'

const isLinux = process.platform === 'linux' && Bun.which('prlimit') !== null

/** The processor time that the hub has used, in seconds. */
function cpuSeconds({ pid }: RunningHub): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

describe.skipIf(!isLinux)('H3 a hub whose process may open few files', () => {
  for (const [files, clients] of [
    [64, 60],
    [256, 300],
  ] as const) {
    test(`with ${files} descriptors and ${clients} readers it refuses some, and the others are served`, async () => {
      await using hub = await startHub({
        flags: ['--hub-anonymous'],
        wrapper: ['prlimit', `--nofile=${files}`],
      })
      const readers = await Promise.all(
        Array.from({ length: clients }, () => StreamClient.open(`${hub.url}?match=a`)),
      )
      const served = readers.filter(({ status }) => status === 200)
      const refused = readers.filter(({ status }) => status === 429)
      expect(served.length + refused.length).toBe(clients)
      expect(served.length).toBeGreaterThan(files / 4)
      expect(refused[0]?.headers.get('retry-after')).not.toBeNull()
      // Those who were refused keep no connection, so that there is room for the others.
      await Promise.all(refused.map(({ closed }) => closed))
      expect((await fetch(`${hub.origin}/readyz`)).status).toBe(200)
      expect((await fetch(`${hub.adminUrl}/metrics`)).status).toBe(200)
      const id = await publish(hub.url, { topic: 'a' })
      await until('the update', () => served.every(({ ids }) => ids.includes(id)))
      const lines = hub
        .log()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      expect(lines.filter(({ message }) => message.startsWith('limits.subscribers: '))).toHaveLength(1)
      for (const reader of readers) reader.close()
    })
  }

  test('at the limit itself it neither spins nor writes about its memory, and comes back', async () => {
    // Connections that never become a request are not refused: they take all there is.
    await using hub = await startHub({ flags: ['--hub-anonymous'], wrapper: ['prlimit', '--nofile=64'] })
    const { hostname, port } = new URL(hub.origin)
    const socket = { data: () => {} }
    const idle = await Promise.all(
      Array.from({ length: 80 }, () => Bun.connect({ hostname, port: Number(port), socket })),
    )
    const before = cpuSeconds(hub)
    const start = performance.now()
    await until('a second', () => performance.now() - start > 1000)
    const used = cpuSeconds(hub) - before
    for (const one of idle) one.terminate()
    await until('it serves again', async () => (await fetch(`${hub.origin}/readyz`)).status === 200)
    for (const line of hub.log().trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
    expect(used).toBeLessThan(0.5)
  })

  test('check says so, with the way out', async () => {
    const command = ['prlimit', '--nofile=1024', binaryPath(), 'check', '--hub-anonymous']
    const { stderr, exitCode } = Bun.spawnSync(command, { cwd: '/', env: {} })
    expect(stderr.toString()).toContain('warning: limits.subscribers: ')
    expect(stderr.toString()).toContain('ulimit -n')
    expect(exitCode).toBe(0)
  })
})
