import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { binaryPath, type RunningHub, startHub, until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { type ContainerNetwork, openContainerNetwork } from '../support/container-network.ts'
import { type IssuerKey, issuerKey, keySetIssuer } from '../support/issuer-key.ts'

/** Key sets in the network of some containers, where nothing has a certificate or a public address. */

const address = '10.0.0.5'
const http = 'http://keycloak:8080/realms/a/protocol/openid-connect/certs'
const https = `https://${address}/certs`

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let network: ContainerNetwork
let key: IssuerKey
let answer: (url: URL) => Response
let hub: RunningHub | null = null
beforeEach(async () => {
  folder = await temporaryFolder()
  key = await issuerKey('1', Date.now())
  answer = () => Response.json({ keys: [key.jwk] })
  network = await openContainerNetwork(folder.path, address, (url) => answer(url))
})
afterEach(async () => {
  await hub?.dispose()
  hub = null
  await network.close()
  await folder.dispose()
})

/** The configuration of one issuer; `role` is what the table of the subscriber's keys holds. */
function issuer(role: string, id = keySetIssuer): string {
  return `[[issuers]]\nid = "${id}"\n[issuers.subscriber]\n${role}\n`
}

const allowed = (uri: string) => `jwks_uri = "${uri}"\njwks_insecure = true`

async function configure(text: string): Promise<readonly string[]> {
  const file = join(folder.path, 'cinnabar.toml')
  await writeFile(file, `transport = "memory"\n${text}`)
  return ['--config', file]
}

async function start(text: string, env = network.env): Promise<RunningHub> {
  hub = await startHub({ flags: await configure(text), hasIssuers: false, env })
  return hub
}

async function check(text: string) {
  const child = Bun.spawn(
    [binaryPath(), 'check', ...(await configure(text)), '--hub-resource-identifier', 'urn:example:hub'],
    {
      env: {},
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const [code, stderr] = await Promise.all([child.exited, new Response(child.stderr).text()])
  return { code, lines: stderr.split('\n').filter((line) => line !== '') }
}

async function subscribe({ url }: RunningHub): Promise<number> {
  const headers = { authorization: `Bearer ${await key.token()}` }
  const response = await fetch(`${url}?match=a`, { method: 'HEAD', headers })
  return response.status
}

describe('a key set in a container network', () => {
  test.each([http, https])('M7 %s is used once jwks_insecure allows it, with a warning', async (uri) => {
    const { log } = await start(issuer(allowed(uri)))
    expect(hub === null ? 0 : await subscribe(hub)).toBe(200)
    expect(network.asked.map((url) => new URL(url).pathname)).toEqual([new URL(uri).pathname])
    const warnings = log()
      .split('\n')
      .filter((line) => line.includes('jwks_insecure'))
    expect(warnings.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', message: expect.stringContaining('issuers[0].subscriber.jwks_insecure') },
    ])
  })

  test.each([http, https])('M7 %s is refused without, and the way is named', async (uri) => {
    const { code, lines } = await check(issuer(`jwks_uri = "${uri}"`))
    expect(code).toBe(78)
    expect(lines).toEqual([expect.stringMatching(/^issuers\[0\]\.subscriber\.jwks_uri: .*jwks_insecure$/)])
  })

  test('M7 check warns of each key set that is allowed so, and of no other', async () => {
    const roles = `${allowed(http)}\n[issuers.publisher]\n${allowed(https)}\n`
    const safe = issuer('jwks_uri = "https://keys.example/certs"\njwks_insecure = false', 'https://b.example')
    const { code, lines } = await check(`${issuer(roles)}${safe}`)
    expect(code).toBe(0)
    expect(lines.map((line) => line.replace(/ \(.*/, ''))).toEqual([
      'warning: issuers[0].publisher.jwks_insecure',
      'warning: issuers[0].subscriber.jwks_insecure',
    ])
  })

  test('M7 one key set is allowed so, the rules hold for every other, of the same issuer too', async () => {
    const publisher = `${allowed(http)}\n[issuers.publisher]\njwks_uri = "${http}"\n`
    const { code, lines } = await check(
      `${issuer(publisher)}${issuer(`jwks_uri = "${https}"`, 'https://b.example')}`,
    )
    expect(code).toBe(78)
    expect(lines.filter((line) => !line.startsWith('warning')).map((line) => line.split(':')[0])).toEqual([
      'issuers[0].publisher.jwks_uri',
      'issuers[1].subscriber.jwks_uri',
    ])
  })

  test('M7 flags and the environment allow it as well, and it goes with a key set only', async () => {
    const uri = { CINNABAR_ISSUERS_0_ID: keySetIssuer, CINNABAR_ISSUERS_0_SUBSCRIBER_JWKS_URI: http }
    hub = await startHub({
      flags: ['--issuers-0-subscriber-jwks-insecure', '--transport=memory'],
      hasIssuers: false,
      env: { ...network.env, ...uri },
    })
    expect(await subscribe(hub)).toBe(200)
    const { code, lines } = await check(
      issuer('key = "0123456789abcdef0123456789abcdef"\nalgorithm = "HS256"\njwks_insecure = true'),
    )
    expect([code, lines.join()]).toEqual([78, expect.stringContaining('goes with jwks_uri')])
  })

  test('M7 a redirect is not followed, wherever it leads', async () => {
    answer = ({ pathname }) => (pathname === '/certs' ? Response.redirect(http, 302) : Response.json({}))
    const running = await start(issuer(allowed('http://keycloak:8080/certs')))
    expect(await subscribe(running)).toBe(503)
    await until('the reason', () => running.log().includes('answered with status 302'))
    expect(network.asked.filter((url) => !url.endsWith('/certs'))).toEqual([])
  })

  test('M7 a certificate is verified all the same', async () => {
    const { NODE_EXTRA_CA_CERTS: _, ...env } = network.env
    const running = await start(issuer(allowed(https)), env)
    expect(await subscribe(running)).toBe(503)
    await until('the reason', () => running.log().includes('"key set not loaded"'))
    expect(network.asked).toEqual([])
  })

  test('M7 SIGHUP takes an allowed key set in use, and refuses it once it is allowed no more', async () => {
    const secret = issuer('key = "0123456789abcdef0123456789abcdef"\nalgorithm = "HS256"')
    const running = await start(secret)
    await configure(issuer(allowed(http)))
    process.kill(running.pid, 'SIGHUP')
    await until('the reload', () => running.log().includes('"configuration reloaded"'))
    expect(running.log()).toContain('jwks_insecure')
    expect(await subscribe(running)).toBe(200)
    await configure(issuer(`jwks_uri = "${http}"`))
    process.kill(running.pid, 'SIGHUP')
    await until('the refusal', () => running.log().includes('"configuration refused"'))
    expect(await subscribe(running)).toBe(200)
  })
})
