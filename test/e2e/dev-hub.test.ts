import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmod, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { binaryPath, until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { post } from '../support/publisher.ts'
import { bareEnv, type RunningCommand, runCommand, startCommand } from '../support/run-command.ts'

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
    token: find(/^Token: +(\S+)$/m),
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

describe('M14 the keys of --dev', () => {
  const file = () => join(folder.path, '.cinnabar-dev.json')
  const run = (words: string) => runCommand(words.split(' '), folder.path)

  async function minted(words: string): Promise<string> {
    const { code, out, err } = await run(`token --dev ${words}`)
    expect([code, err]).toEqual([0, ''])
    return out.trim()
  }

  test.each(['localhost:0', '127.0.0.1:0', 'unix:hub'])(
    'make tokens that the hub on %s accepts',
    async (address) => {
      const listen = address === 'unix:hub' ? `unix:${folder.path}/hub.sock` : address
      await using hub = await startDev(['--listen', listen])
      const unix = address === 'unix:hub' ? { unix: `${folder.path}/hub.sock` } : {}
      for (const token of [
        hub.token,
        await minted('--publish *'),
        await minted('--publish a --subscribe a'),
      ]) {
        const headers = { Authorization: `Bearer ${token}` }
        const body = new URLSearchParams({ topic: 'a' })
        expect((await fetch(hub.url, { method: 'POST', body, headers, ...unix })).status).toBe(200)
        const explained = await run(`token explain --dev ${token}`)
        expect(explained.code).toBe(0)
        expect(explained.out).toContain('To publish: accepted')
        expect(explained.out).toContain('To subscribe: accepted')
      }
    },
  )

  test('are private, and print the same token after a restart', async () => {
    const first = await startDev(['--listen', 'localhost:0'])
    const { port } = new URL(first.url)
    expect(await first.stop()).toBe(0)
    const tokens: string[] = []
    for (let times = 0; times < 2; times++) {
      await using hub = await startDev(['--listen', `localhost:${port}`])
      tokens.push(hub.token)
      expect((await post(hub.url, { topic: 'a' }, hub.token)).status).toBe(200)
      expect(await hub.stop()).toBe(0)
    }
    expect(tokens[0]).toBe(String(tokens[1]))
    expect((await stat(file())).mode & 0o777).toBe(0o600)
    expect(first.out() + first.err()).not.toContain(JSON.parse(await readFile(file(), 'utf8')).key)
  })

  test('are shared by two hubs in one folder, and the last one is meant unless told otherwise', async () => {
    const starting = [startDev(), startDev()]
    const [one, two] = await Promise.all(starting)
    if (one === undefined || two === undefined) return expect.unreachable()
    await using _ends = {
      [Symbol.asyncDispose]: async () => void (await Promise.all([one.stop(), two.stop()])),
    }
    const accepts = async ({ url }: { url: string }, token: string) =>
      (await post(url, { topic: 'a' }, token)).ok
    expect([await accepts(one, one.token), await accepts(two, two.token)]).toEqual([true, true])
    const last = await minted('--publish *')
    expect([await accepts(one, last), await accepts(two, last)].sort()).toEqual([false, true])
    for (const hub of [one, two]) {
      expect(await accepts(hub, await minted(`--publish * --aud ${hub.url} --iss http://localhost:0`))).toBe(
        true,
      )
    }
  })

  test('are missing where no such hub has been, which is said, and nothing else needs them', async () => {
    for (const words of ['token --dev --publish a', 'token explain --dev x.y.z']) {
      const { code, out, err } = await run(words)
      expect([code, out]).toEqual([78, ''])
      expect(err).toBe(
        '--dev: there are no keys of a --dev hub in this folder; start one here: cinnabar serve --dev\n',
      )
    }
    for (const words of ['check --dev', 'config --dev']) expect((await run(words)).code).toBe(0)
    expect(await stat(file()).catch(() => null)).toBeNull()
  })

  test('are not needed where issuers are configured', async () => {
    const issuer = { id: 'me', publisher: { key: 'x'.repeat(32), algorithm: 'HS256' } }
    const env = { ...bareEnv, CINNABAR_ISSUERS: JSON.stringify([issuer]) }
    const words = ['token', '--dev', '--publish', 'a']
    expect((await runCommand(words, folder.path, new Blob(), env)).code).toBe(0)
    await using hub = await startDev(['--listen', 'localhost:0', '--issuers', JSON.stringify([issuer])])
    expect(hub.out()).toContain('Publisher token:')
    expect(hub.out()).toContain('It is good for a day.')
    expect(await stat(file()).catch(() => null)).toBeNull()
  })

  test('are for the run where a link was placed, which is not followed', async () => {
    const target = join(folder.path, 'target')
    await writeFile(target, JSON.stringify({ key: 'k'.repeat(32) }), { mode: 0o600 })
    for (const to of [target, join(folder.path, 'nowhere')]) {
      await symlink(to, file())
      await using hub = await startDev()
      expect(hub.err()).toContain('--dev: the keys are for this run: .cinnabar-dev.json is a symbolic link')
      expect(hub.out()).toContain('It is good for this run.')
      expect((await post(hub.url, { topic: 'a' }, hub.token)).status).toBe(200)
      const { code, err } = await run('token --dev --publish a')
      expect([code, err]).toEqual([78, '--dev: .cinnabar-dev.json is a symbolic link\n'])
      await rm(file())
    }
    expect(await readFile(target, 'utf8')).toContain('kkkk')
    expect(await stat(join(folder.path, 'nowhere')).catch(() => null)).toBeNull()
  })

  test('are for the run where others may read the file', async () => {
    await writeFile(file(), JSON.stringify({ key: 'k'.repeat(32) }))
    await chmod(file(), 0o640)
    await using hub = await startDev()
    expect(hub.err()).toContain('.cinnabar-dev.json may be read or written by others; remove it')
    expect((await run('token --dev --publish a')).err).toContain(
      'may be read or written by others; remove it',
    )
  })

  test('are for the run where the folder takes no file', async () => {
    const flags = ['--dev', '--admin-listen', '', '--transport', 'memory', '--listen', 'localhost:0']
    await using hub = startCommand(['serve', ...flags], '/proc')
    await until('its lines', () => hub.out().includes('data=hello'))
    expect(hub.err()).toContain('.cinnabar-dev.json cannot be written')
    const { url, token } = printed(hub)
    expect((await post(url, { topic: 'a' }, token)).status).toBe(200)
  })

  test('let bench fanout run with one token', async () => {
    await using hub = await startDev(['--listen', 'localhost:0', '--no-hub-anonymous'])
    for (const token of [hub.token, await minted('--publish *')]) {
      const size = '--subscribers 20 --duration 100ms --warmup 0'
      const { code, out, err } = await run(`bench fanout --hub ${hub.url} --token ${token} ${size} --json`)
      expect([code, err]).toEqual([0, ''])
      expect(JSON.parse(out)).toMatchObject({ deliveries_missing: 0, streams_ended: 0 })
    }
  })
})
