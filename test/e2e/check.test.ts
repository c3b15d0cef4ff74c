import { describe, expect, test } from 'bun:test'
import { binaryPath } from '../support/binary.ts'
import { bareEnv } from '../support/run-command.ts'
import { secretOf } from '../support/tokens.ts'

/** Runs `cinnabar check` with the flags. */
async function check(flags: readonly string[], audience = ['--hub-public-urls', 'https://hub.example.com']) {
  const issuer = { id: 'https://a.example', publisher: { key: secretOf('check'), algorithm: 'HS256' } }
  const command = [binaryPath(), 'check', '--issuers', JSON.stringify([issuer]), ...audience, ...flags]
  const child = Bun.spawn(command, { env: bareEnv, stdio: ['ignore', 'pipe', 'pipe'] })
  const [code, stderr] = await Promise.all([child.exited, new Response(child.stderr).text()])
  return { code, problems: stderr.split('\n').filter((line) => line !== '' && !line.startsWith('warning')) }
}

describe('cinnabar check', () => {
  test('says that a good configuration is good', async () => {
    expect(await check([])).toEqual({ code: 0, problems: [] })
  })

  test('S6 says what to add where clients would choose the audience of tokens', async () => {
    const { code, problems } = await check([], [])
    expect([code, problems.length]).toEqual([78, 1])
    expect(problems[0]).toStartWith('hub.public_urls: is needed with issuers')
    expect(problems[0]).toContain('add public_urls = ["https://hub.example.com"] under [hub]')
    expect((await check([], ['--hub-resource-identifier', 'urn:hub'])).code).toBe(0)
    expect((await check(['--dev'], [])).code).toBe(0)
  })

  test('SEC-18 says everything that would keep the hub from starting, at once', async () => {
    const rules = JSON.stringify([{ match: '{unclosed', match_type: 'urlpattern', max_count: 1 }])
    const tls = ['--tls-cert-file', '/nowhere/cert.pem', '--tls-key-file', '/nowhere/key.pem']
    const { code, problems } = await check([
      '--history-rules',
      rules,
      '--transport',
      'redis',
      '--redis-url',
      'rediss://127.0.0.1',
      '--redis-ca-file',
      '/nowhere/ca.pem',
      ...tls,
    ])
    expect(code).toBe(78)
    expect(problems.map((line) => line.split(/[ :]/, 1)[0])).toEqual([
      'history.rules[0].match',
      'tls.cert_file',
      'redis.ca_file',
    ])
  })

  test('SEC-18 an unknown setting is refused with the nearest name', async () => {
    const { code, problems } = await check(['--history-max-cuont', '5'])
    expect(code).toBe(2)
    expect(problems.join(' ')).toContain('--history-max-count')
  })
})
