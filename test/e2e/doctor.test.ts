import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mint as sign } from '../../src/auth/mint.ts'
import { binaryPath, until } from '../support/binary.ts'
import { type CertificateFiles, makeCertificate, temporaryFolder } from '../support/certificates.ts'
import { gatewayProgram, startGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { RedisServer } from '../support/redis-server.ts'
import {
  bareEnv,
  type CommandEnd,
  type RunningCommand,
  runCommand,
  startCommand,
} from '../support/run-command.ts'

/** `cinnabar doctor`: all is well, then one fault after the other. */

setDefaultTimeout(30_000)

const env = { PATH: bareEnv['PATH'] ?? '' }

interface Report {
  readonly ok: boolean
  readonly findings: readonly { readonly state: string; readonly check: string; readonly message: string }[]
}

/** A folder with what `init` writes into it. */
class Home {
  readonly path: string
  readonly dispose: () => Promise<void>

  private constructor({ path, dispose }: Awaited<ReturnType<typeof temporaryFolder>>) {
    this.path = path
    this.dispose = dispose
  }

  static async make(...words: string[]): Promise<Home> {
    const home = new Home(await temporaryFolder())
    const [port, adminPort] = [freePort(), freePort()]
    const { code, err } = await home.run('init', '--listen', `127.0.0.1:${port}`, ...words)
    expect([code, err]).toEqual([0, ''])
    home.change('# listen = "127.0.0.1:3001"', `listen = "127.0.0.1:${adminPort}"`)
    return home
  }

  run(...words: string[]): Promise<CommandEnd> {
    return runCommand(words, this.path, new Blob(), env)
  }

  async doctor(...words: string[]): Promise<Report & { readonly code: number }> {
    const { code, out, err } = await this.run('doctor', '--json', ...words)
    expect(err).toBe('')
    return { code, ...JSON.parse(out) }
  }

  async start(): Promise<RunningCommand> {
    const hub = startCommand(['serve'], this.path, env)
    await until('the hub', () => hub.err().includes('"listening"'))
    return hub
  }

  get text(): string {
    return readFileSync(join(this.path, 'cinnabar.toml'), 'utf8')
  }

  get address(): string {
    return /^listen = \["(.*)"\]$/m.exec(this.text)?.[1] ?? expect.unreachable()
  }

  change(from: string, to: string): void {
    expect(this.text).toContain(from)
    writeFileSync(join(this.path, 'cinnabar.toml'), this.text.replace(from, to))
  }
}

/** The findings that are not ok, by their checks. */
function faults({ findings }: Report): readonly string[] {
  // How many descriptors a process may have is for the machine to say.
  return findings
    .filter(
      ({ state, check, message }) => state !== 'ok' && !`${check} ${message}`.includes('open so few files'),
    )
    .map(({ state, check }) => `${state} ${check}`)
}

describe('cinnabar doctor on a machine', () => {
  let home: Home
  const make = async () => {
    home = await Home.make('--public-url', 'http://localhost')
    return home
  }

  test('finds nothing wrong where init has been, before the hub and beside it', async () => {
    await make()
    expect(faults(await home.doctor())).toEqual([])
    await using hub = await home.start()
    const beside = await home.doctor()
    expect([beside.code, faults(beside)]).toEqual([0, []])
    const messages = beside.findings.map(({ message }) => message)
    expect(messages).toContain(`a hub is listening on ${home.address}`)
    expect(messages.join()).toContain('a hub is running on it')
    const { out } = await home.run('doctor')
    expect(out).toMatch(/^ok {3}configuration {2}cinnabar\.toml is valid$/m)
    expect(await hub.stop()).toBe(0)
    await home.dispose()
  })

  test.each([
    ['a short key', 'bad keys', (at: Home) => writeFileSync(join(at.path, 'publisher.key'), 'short')],
    [
      'a key that others may write to',
      'bad keys',
      (at: Home) => chmodSync(join(at.path, 'publisher.key'), 0o666),
    ],
    ['a missing key', 'bad keys', (at: Home) => at.change('/publisher.key', '/other.key')],
    ['a wrong setting', 'bad configuration', (at: Home) => at.change('max_age = "24h"', 'max_age = "soon"')],
    [
      'a folder that is not there',
      'bad history',
      (at: Home) => at.change('/cinnabar.db', '/missing/cinnabar.db'),
    ],
    [
      'a history that is none',
      'bad history',
      (at: Home) =>
        writeFileSync(
          join(at.path, 'cinnabar.db'),
          'no database at all, but long enough to be one'.repeat(20),
        ),
    ],
  ])('finds %s', async (_, finding, spoil) => {
    await make()
    spoil(home)
    const report = await home.doctor()
    expect([report.code, report.ok, faults(report)]).toEqual([1, false, [finding]])
    await home.dispose()
  })

  test.skipIf(process.getuid?.() !== 0)(
    'finds a key that the user may not read (as root alone)',
    async () => {
      await make()
      chmodSync(home.path, 0o755)
      chownSync(home.path, 65534, 65534)
      const { out, code } = await asNobody(home, 'doctor', '--json')
      expect([code, faults(JSON.parse(out))]).toEqual([1, ['bad keys', 'bad keys']])
      await home.dispose()
    },
  )

  test('finds a damaged entry in a history that opens', async () => {
    await make()
    const entries = Array.from({ length: 50 }, (_, at) => {
      const event = `id: ${at}\ndata: mark of ${at} ${'.'.repeat(500)}\n\n`
      return JSON.stringify({ id: String(at), topics: ['a'], private: false, at: Date.now(), event })
    })
    writeFileSync(join(home.path, 'lines'), `${entries.join('\n')}\n`)
    expect((await home.run('history', 'import', 'lines')).code).toBe(0)
    const path = join(home.path, 'cinnabar.db')
    const bytes = readFileSync(path)
    bytes[bytes.indexOf('mark of 20')] = 0x4d
    writeFileSync(path, bytes)
    const report = await home.doctor()
    expect([report.code, faults(report)]).toEqual([1, ['bad history']])
    await home.dispose()
  })

  test('finds a port that another program has', async () => {
    await make()
    const [hostname, port] = home.address.split(':')
    const other = Bun.listen({ hostname: hostname ?? '', port: Number(port), socket: { data: () => {} } })
    const report = await home.doctor()
    expect([report.code, faults(report)]).toEqual([1, ['bad ports']])
    other.stop(true)
    await home.dispose()
  })

  test('finds that there are few descriptors', async () => {
    await make()
    const script = 'ulimit -n 256; exec "$0" doctor --json'
    const child = Bun.spawn(['sh', '-c', script, binaryPath()], {
      cwd: home.path,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const report: Report = JSON.parse(await new Response(child.stdout).text())
    expect(report.findings).toContainEqual(expect.objectContaining({ state: 'warn', check: 'descriptors' }))
    expect(await child.exited).toBe(0)
    await home.dispose()
  })
})

/** Runs a command of the executable as a user that owns nothing. */
async function asNobody(home: Home, ...words: string[]): Promise<CommandEnd> {
  const child = Bun.spawn(
    ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', binaryPath(), ...words],
    {
      cwd: home.path,
      env: { ...env, HOME: '/nonexistent' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err }
}

// The one reason to skip: nginx is not on this machine. scripts/test.sh installs it.
describe.skipIf(gatewayProgram('nginx') === null)('cinnabar doctor URL, through nginx with TLS', () => {
  let home: Home
  let hub: RunningCommand
  let certificate: CertificateFiles
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let origin: string
  let gateway: Awaited<ReturnType<typeof startGateway>>
  const page = 'https://www.example.com'

  beforeAll(async () => {
    folder = await temporaryFolder()
    certificate = await makeCertificate(folder.path)
    const port = freePort()
    origin = `https://localhost:${port}`
    home = await Home.make('--public-url', origin, '--cors-origin', page)
    hub = await home.start()
    gateway = await startGateway('nginx', { port, hub: home.address, certificate, folder: folder.path })
  })
  afterAll(async () => {
    await gateway?.dispose()
    await hub?.[Symbol.asyncDispose]()
    await home?.dispose()
    await folder?.dispose()
  })

  const examine = (url = origin, ...words: string[]) =>
    home.doctor(url, '--ca-file', certificate.certFile, '--wait', '2s', ...words)

  test('finds nothing wrong', async () => {
    const report = await examine()
    expect([report.code, faults(report)]).toEqual([0, []])
    const checks = new Set(report.findings.map(({ check }) => check))
    for (const check of ['tls', 'clock', 'path', 'aud', 'buffering', 'cookies', 'cors'])
      expect(checks).toContain(check)
  })

  test('finds a certificate that nobody vouches for', async () => {
    const report = await home.doctor(origin)
    expect([report.code, faults(report)]).toEqual([1, ['bad tls']])
    expect(faults(await home.doctor(origin, '--insecure'))).toEqual([])
  })

  test('finds a wrong path', async () => {
    expect(faults(await examine(`${origin}/hub`))).toEqual(['bad path'])
  })

  test('finds an origin of pages that may not read', async () => {
    expect(faults(await examine(origin, '--origin', 'https://other.example'))).toEqual(['bad cors'])
  })

  test('finds a token for another hub, and one that is over by the clock of the hub', async () => {
    const mint = async (...words: string[]) =>
      (await home.run('token', '--publish=*', '--key-file=publisher.key', ...words)).out.trim()
    const foreign = await examine(origin, '--token', await mint('--aud', 'https://other.example/hub'))
    expect(faults(foreign)).toEqual(['bad aud', 'bad token'])
    const now = Date.now()
    const expired = await sign({
      key: readFileSync(join(home.path, 'subscriber.key'), 'utf8').trim(),
      algorithm: 'HS256',
      issuer: page,
      audience: `${origin}/.well-known/mercure`,
      subject: 'a',
      clientId: 'a',
      id: 'a',
      issuedAt: now - 7_200_000,
      expiresAt: now - 3_600_000,
      rights: { subscribe: ['*'] },
    })
    const report = await examine(origin, '--token', expired)
    expect(faults(report)).toEqual(['bad token', 'bad token'])
    expect(JSON.stringify(report)).toContain('by the clock of the hub')
    expect(JSON.stringify(report)).not.toContain(expired)
  })

  test('finds a proxy that holds updates back', async () => {
    const site = join(folder.path, 'site.conf')
    const text = readFileSync(site, 'utf8')
    await gateway.dispose()
    writeFileSync(
      site,
      text.replace('proxy_read_timeout', 'proxy_ignore_headers X-Accel-Buffering;\n proxy_read_timeout'),
    )
    const nginx = Bun.spawn(
      [gatewayProgram('nginx') ?? '', '-e', 'stderr', '-c', join(folder.path, 'nginx.conf')],
      {
        stdio: ['ignore', 'ignore', 'ignore'],
      },
    )
    try {
      await until('nginx', () =>
        fetch(origin, { tls: { rejectUnauthorized: false } }).then(
          () => true,
          () => false,
        ),
      )
      expect(faults(await examine())).toEqual(['bad buffering'])
    } finally {
      nginx.kill('SIGTERM')
      await nginx.exited
    }
    expect(faults(await examine())).toEqual(['bad reach'])
    writeFileSync(site, text)
    gateway = await startGateway('nginx', {
      port: Number(new URL(origin).port),
      hub: home.address,
      certificate,
      folder: folder.path,
    })
  })

  test('finds that the hub does not trust the proxy, and that the hub is down', async () => {
    expect(await hub.stop()).toBe(0)
    home.change('trusted = ["127.0.0.1", "::1"]', 'trusted = []')
    hub = await home.start()
    expect(faults(await examine())).toEqual(['warn configuration', 'bad origin'])
    expect(await hub.stop()).toBe(0)
    home.change('trusted = []', 'trusted = ["127.0.0.1", "::1"]')
    expect(faults(await examine())).toEqual(['bad publish'])
  })
})

describe('doctor with a history on a server', () => {
  test('says which server it is and what an operator had better know, or that it cannot be reached', async () => {
    const home = await Home.make('--public-url', 'https://hub.example')
    await using server = await RedisServer.start()
    const ask = async (url: string) => {
      const { findings } = await home.doctor('--transport', 'redis', '--redis-url', url)
      return findings.filter(({ check }) => check === 'history')
    }
    expect(await ask(server.url)).toContainEqual(
      expect.objectContaining({
        state: 'warn',
        message: expect.stringMatching(/^Redis 7\.\S+ at 127\.0\.0\.1:\d+: /),
      }),
    )
    await server.kill()
    expect(await ask(server.url)).toMatchObject([{ state: 'bad' }])
    await home.dispose()
  })
})
