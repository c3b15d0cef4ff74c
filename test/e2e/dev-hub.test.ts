import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createServer } from 'node:net'
import { binaryPath, until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { bareEnv, type RunningCommand, startCommand } from '../support/run-command.ts'

/** `cinnabar serve --dev`: a hub for one developer on one machine, in a folder. */

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(() => folder.dispose())

/** A running hub for development, as its reader sees it. */
async function startDev(more: readonly string[] = ['--listen', 'localhost:0']) {
  const flags = ['--dev', '--admin-listen', '', '--transport', 'memory', '--log-format', 'json', ...more]
  const hub = startCommand(['serve', ...flags], folder.path)
  await until('its lines', () => hub.out().includes('data=hello'))
  return Object.assign(hub, printed(hub))
}

function printed(hub: RunningCommand) {
  const find = (pattern: RegExp) => pattern.exec(hub.out())?.[1] ?? ''
  return {
    url: find(/^Hub: +(\S+)$/m),
    token: find(/^Publisher token: +(\S+)$/m),
    curls: hub
      .out()
      .split('\n')
      .filter((line) => line.startsWith('curl ')),
  }
}

// A container may be without IPv6: there is no second address to look at then.
const hasIpv6 = await canListen('::1')

async function canListen(host: string): Promise<boolean> {
  const server = createServer()
  const listening = Promise.withResolvers<boolean>()
  server.on('error', () => listening.resolve(false))
  server.listen(0, host, () => listening.resolve(true))
  const isPossible = await listening.promise
  server.close()
  return isPossible
}

describe('it listens on localhost', () => {
  test.skipIf(!hasIpv6)('and prints that name, on both loopback addresses', async () => {
    await using hub = await startDev()
    const { hostname, port, pathname } = new URL(hub.url)
    expect([hostname, pathname]).toEqual(['localhost', '/.well-known/mercure'])
    expect(hub.curls).toHaveLength(2)
    for (const host of ['127.0.0.1', '[::1]', 'localhost']) {
      expect((await fetch(`http://${host}:${port}/healthz`)).status).toBe(200)
    }
    expect(hub.err()).toContain(`"addresses":"http://127.0.0.1:${port} http://[::1]:${port}"`)
  })

  test('and what is printed works when it is pasted', async () => {
    await using hub = await startDev()
    const shell = (line: string) =>
      Bun.spawn(['sh', '-c', line], { stdio: ['ignore', 'pipe', 'ignore'], env: bareEnv })
    const [subscribe = '', publish = ''] = hub.curls
    const reader = shell(subscribe)
    let received = ''
    void (async () => {
      for await (const chunk of reader.stdout) received += new TextDecoder().decode(chunk)
    })()
    await until('the first bytes', () => received !== '')
    const publisher = shell(publish)
    expect(await publisher.exited).toBe(0)
    const id = await new Response(publisher.stdout).text()
    await until('the event', () => received.includes(`id: ${id}\ndata: hello\n\n`))
    reader.kill()
    await reader.exited
  })

  test.skipIf(!hasIpv6)('and is refused where somebody else has one of the two', async () => {
    const other = createServer()
    const listening = Promise.withResolvers<void>()
    other.listen(0, '::1', () => listening.resolve())
    await listening.promise
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const flags = ['--dev', '--admin-listen', '', '--transport', 'memory', '--listen', `localhost:${port}`]
    const hub = startCommand(['serve', ...flags], folder.path)
    await until('its end', () => hub.err().includes('"level":"error"'))
    expect(hub.err()).toContain(`"message":"listen: [::1]:${port} is in use by another process"`)
    expect(await hub.stop()).toBe(1)
    other.close()
  })

  test('and on one where that is what was asked for, under its own name', async () => {
    await using hub = await startDev(['--listen', '127.0.0.1:0'])
    expect(hub.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\.well-known\/mercure$/)
    const { port } = new URL(hub.url)
    expect((await fetch(`http://[::1]:${port}/healthz`).catch(() => null))?.status).toBeUndefined()
  })

  test('and on a Unix socket, with lines that reach it', async () => {
    await using hub = await startDev(['--listen', `unix:${folder.path}/hub.sock`])
    expect(hub.url).toBe('http://localhost/.well-known/mercure')
    const publish = Bun.spawn(['sh', '-c', hub.curls[1] ?? ''], { stdio: ['ignore', 'pipe', 'ignore'] })
    expect(await new Response(publish.stdout).text()).toStartWith('urn:uuid:')
  })

  const inNamespace = ['unshare', '-rn', 'sh', '-c']
  const canIsolate = Bun.spawnSync([...inNamespace, 'ip link set lo up']).success

  // Without the right to make a network namespace there is no machine without IPv6 to try it on.
  test.skipIf(!canIsolate)('and on one where the machine has no IPv6', async () => {
    const disable =
      'ip link set lo up; for i in all lo; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done'
    const serve = '"$C" serve --dev --admin-listen "" --transport memory'
    const child = Bun.spawn([...inNamespace, `${disable}; exec ${serve}`], {
      cwd: folder.path,
      env: { ...bareEnv, C: binaryPath() },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    for await (const chunk of child.stdout) {
      out += new TextDecoder().decode(chunk)
      if (out.includes('data=hello')) break
    }
    expect(out).toMatch(/^Hub: +http:\/\/localhost:3000\/\.well-known\/mercure$/m)
    child.kill()
    expect(await child.exited).toBe(0)
    expect(await new Response(child.stderr).text()).toContain('"addresses":"http://127.0.0.1:3000"')
  })

  test('and on nothing but loopback', async () => {
    for (const address of ['0.0.0.0:0', '[::]:0', ':0', '192.0.2.1:0']) {
      const hub = startCommand(['serve', '--dev', '--listen', address], folder.path)
      await until('its end', () => hub.err().includes('--dev listens on loopback only'))
      expect(await hub.stop()).toBe(78)
    }
  })
})
