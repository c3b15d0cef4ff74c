import { describe, expect, test } from 'bun:test'
import { createServer } from 'node:net'
import { binaryPath, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { bareEnv } from '../support/run-command.ts'
import { StreamClient } from '../support/stream-client.ts'

/** The process: its ports and its signals. */

const flags = ['--hub-anonymous', '--transport', 'memory']

describe('ports', () => {
  test('a second hub on the same port ends with exit code 1 and says which port is in use', async () => {
    const hub = await startHub({ flags })
    const { host, port } = new URL(hub.origin)
    const second = Bun.spawn([binaryPath(), 'serve', '--listen', host, '--admin-listen', '', ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...bareEnv, CINNABAR_HUB_ANONYMOUS: 'true' },
    })
    expect(await second.exited).toBe(1)
    const message = await new Response(second.stderr).text()
    expect(message).toContain(port)
    expect(message).not.toMatch(/\n\s+at /)
    expect((await fetch(`${hub.origin}/healthz`)).status).toBe(200)
    await hub.dispose()
  })

  test('a port that another program holds is refused alike', async () => {
    const server = createServer()
    const listening = Promise.withResolvers<void>()
    server.listen(0, '127.0.0.1', () => listening.resolve())
    await listening.promise
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const hub = Bun.spawn(
      [binaryPath(), 'serve', '--listen', `127.0.0.1:${port}`, '--admin-listen', '', ...flags],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: bareEnv,
      },
    )
    expect(await hub.exited).toBe(1)
    expect(await new Response(hub.stderr).text()).toContain(String(port))
    server.close()
  })
})

describe('signals', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`SUB-91 ${signal} ends every stream with a jittered retry field and exits 0`, async () => {
      const hub = await startHub({ flags })
      const readers = await Promise.all(
        Array.from({ length: 30 }, () => StreamClient.open(`${hub.url}?match=a`)),
      )
      expect(await hub.stop(signal)).toBe(0)
      await Promise.all(readers.map(({ closed }) => closed))
      const retries = readers.map(({ lines }) => lines.find((line) => line.startsWith('retry: ')) ?? '')
      for (const line of retries) {
        const ms = Number(line.slice('retry: '.length))
        expect(ms).toBeGreaterThanOrEqual(500)
        expect(ms).toBeLessThanOrEqual(3000)
      }
      expect(new Set(retries).size).toBeGreaterThan(5)
      expect(hub.log()).toContain('"message":"stopped"')
      await hub.dispose()
    })
  }

  test('while it drains, nobody new is let in and a stream still gets what was accepted', async () => {
    const hub = await startHub({ flags })
    const readers = await Promise.all(
      Array.from({ length: 200 }, () => StreamClient.open(`${hub.url}?match=a`)),
    )
    const id = await publish(hub.url, { topic: 'a' })
    const ending = hub.stop('SIGTERM')
    await until('the drain', () => hub.log().includes('"message":"draining"'))
    await until('its first end', () => readers.some(({ isClosed }) => isClosed))
    expect(await StreamClient.open(`${hub.url}?match=a`).catch(() => null)).toBeNull()
    expect(await ending).toBe(0)
    expect(readers.every(({ ids }) => ids.length === 1 && ids[0] === id)).toBe(true)
    await hub.dispose()
  })

  test('a second signal ends the process at once', async () => {
    const hub = await startHub({ flags })
    const readers = await Promise.all(
      Array.from({ length: 1000 }, () => StreamClient.open(`${hub.url}?match=a`)),
    )
    const first = hub.stop('SIGTERM')
    await until('the drain', () => hub.log().includes('"message":"draining"'))
    const start = performance.now()
    expect(await hub.stop('SIGTERM')).not.toBe(0)
    expect(performance.now() - start).toBeLessThan(1000)
    expect(hub.log()).not.toContain('"message":"stopped"')
    await first
    await Promise.all(readers.map(({ closed }) => closed))
    await hub.dispose()
  })

  for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGQUIT', 'SIGALRM'] as const) {
    test(`${signal} does nothing, also while it drains`, async () => {
      await using hub = await startHub({ flags: [...flags, '--shutdown-drain', '1s'] })
      const readers = await Promise.all([1, 2, 3].map(() => StreamClient.open(`${hub.url}?match=a`)))
      for (let n = 0; n < 3; n++) process.kill(hub.pid, signal)
      const id = await publish(hub.url, { topic: 'a' })
      await until('the update', () => readers.every(({ ids }) => ids.includes(id)))
      expect(hub.log().trim().split('\n').length).toBe(1)
      const stopped = hub.stop()
      await until('the drain', () => hub.log().includes('"draining"'))
      process.kill(hub.pid, signal)
      expect(await stopped).toBe(0)
    })
  }

  test('SIGHUP does not end it', async () => {
    const hub = await startHub({ flags })
    const reader = await StreamClient.open(`${hub.url}?match=a`)
    process.kill(hub.pid, 'SIGHUP')
    const id = await publish(hub.url, { topic: 'a' })
    await until('the update', () => reader.ids.includes(id))
    await hub.dispose()
  })
})
