import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { startHub, until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { rawRequest } from '../support/raw-request.ts'
import { refusedHub } from '../support/refused-hub.ts'
import { secretOf, tokenFor } from '../support/tokens.ts'

/** A token is for one hub, and never for the one that a client names in its Host field. */

const path = '/.well-known/mercure'
const issuer = {
  id: 'https://a.example',
  subscriber: { key: secretOf('issuer-a/subscriber'), algorithm: 'HS256' },
}
const issuers = ['--issuers', JSON.stringify([issuer])]
const listen = ['--listen', '127.0.0.1:0']

describe('S6 a hub with issuers that does not know its own URL', () => {
  for (const [title, flags] of [
    ['nothing is configured', []],
    ['the identifier is empty', ['--hub-resource-identifier', '']],
    [
      'the identifier has the port that the system chooses',
      ['--hub-resource-identifier', 'https://a.example:0/x'],
    ],
    ['the public URL has that port', ['--hub-public-urls', 'http://127.0.0.1:0']],
    ['a proxy is trusted', ['--proxy-trusted', '127.0.0.1']],
  ] as const) {
    test(`is refused with 78 and the line to add where ${title}`, async () => {
      const { code, message } = await refusedHub([...listen, ...issuers, ...flags])
      expect(code).toBe(78)
      expect(message).toStartWith('hub.public_urls: is needed with issuers')
      expect(message).toContain('public_urls = ["https://hub.example.com"]')
      expect(message.trim().split('\n').length).toBe(1)
    })
  }

  for (const [title, flags] of [
    ['it has a public URL', [...issuers, '--hub-public-urls', 'https://hub.example.com']],
    ['it has an identifier', [...issuers, '--hub-resource-identifier', 'urn:example:hub']],
    ['it is for a developer', [...issuers, '--dev']],
    ['it has no issuers', ['--hub-anonymous']],
  ] as const) {
    test(`starts where ${title}`, async () => {
      await using hub = await startHub({
        hasIssuers: false,
        flags: ['--transport', 'memory', '--hub-resource-identifier', '', ...flags],
      })
      expect((await rawRequest(hub.origin, { target: '/healthz' })).status).toBe(200)
    })
  }

  test('is refused at SIGHUP, and goes on as it was', async () => {
    const folder = await temporaryFolder()
    const file = join(folder.path, 'hub.toml')
    const write = (first: string) =>
      Bun.write(
        file,
        `${first}\n[[issuers]]\nid = "${issuer.id}"\nsubscriber = { key = "${issuer.subscriber.key}", algorithm = "HS256" }\n`,
      )
    await write('[hub]\npublic_urls = ["http://hub.example.com"]')
    await using hub = await startHub({
      hasIssuers: false,
      hasAudience: false,
      flags: ['--transport', 'memory', '--config', file],
    })
    await write('')
    process.kill(hub.pid, 'SIGHUP')
    await until('the refusal', () => hub.log().includes('"message":"configuration refused"'))
    expect(hub.log()).toContain('hub.public_urls: is needed with issuers')
    const token = await tokenFor({ subscribe: ['a'], audience: `http://hub.example.com${path}` })
    const ask = async (host: string) => {
      const fields = [
        ['Host', host],
        ['Authorization', `Bearer ${token}`],
      ] as const
      return (await rawRequest(hub.origin, { target: `${path}?match=a`, fields })).status
    }
    expect([await ask('hub.example.com'), await ask('other.example.com')]).toEqual([200, 421])
    await folder.dispose()
  })
})
