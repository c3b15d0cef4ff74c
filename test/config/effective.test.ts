import { describe, expect, test } from 'bun:test'
import { settingsAsJson, settingsInEffect } from '../../src/config/effective.ts'
import { type Configuration, load, type Places } from '../../src/config/load.ts'

const devKeys = {
  publisher: 'publisher-secret-of-32-characters',
  subscriber: 'subscriber-secret-of-32-characters',
}

test('what is in effect is shown with its origin, and secrets are masked', () => {
  const argv = [
    '--dev',
    '--history-max-age=2h',
    '--redis-url=redis://:hunter2@x',
    '--history-max-count=unlimited',
  ]
  const env = { CINNABAR_LIMITS_BODY: '2MiB', CINNABAR_CONFIG: 'hub.toml' }
  const readFile = () => '[hub]\nretry = "3s"\n'
  const loaded = load({ argv, env, readFile, devKeys, isTerminal: false })
  if (!loaded.ok) return expect.unreachable()
  const lines = settingsInEffect(loaded.settings, loaded.origins)
  for (const line of [
    'listen = ["localhost:3000"]  # --dev',
    'admin.listen = "127.0.0.1:3001"  # default',
    'hub.anonymous = true  # --dev',
    'hub.retry = "3s"  # file (hub.retry (hub.toml:2))',
    '# publisher.key = "***"  # --dev',
    'history.max_age = "2h"  # flag (--history-max-age)',
    'history.max_count = "unlimited"  # flag (--history-max-count)',
    '# redis.url = "***"  # flag (--redis-url)',
    'tls.cert_file = ""  # default',
    'limits.body = "2MiB"  # environment (CINNABAR_LIMITS_BODY)',
  ]) {
    expect(lines).toContain(line)
  }
  for (const secret of [devKeys.publisher, devKeys.subscriber, 'hunter2']) {
    expect(lines.join('\n')).not.toContain(secret)
  }
})

test('S15 passwords in URLs are masked wherever they are', () => {
  const subscriber = { jwks_uri: 'https://me:hunter2@id.example/keys?a=b@c' }
  const argv = [
    '--issuers',
    JSON.stringify([{ id: 'urn:x', subscriber }]),
    '--hub-cors-origins=https://a.example',
  ]
  const loaded = load({ argv, env: {}, readFile: () => '', devKeys, isTerminal: false })
  if (!loaded.ok) return expect.unreachable()
  const lines = settingsInEffect(loaded.settings, loaded.origins)
  expect(lines.find((line) => line.includes('jwks_uri'))).toContain(' = "https://***@id.example/keys?a=b@c" ')
  expect(lines).toContain('hub.cors_origins = ["https://a.example"]  # flag (--hub-cors-origins)')
  expect(lines.join()).not.toContain('hunter2')
})

describe('the lines are a file', () => {
  const secret = 'secret-of-this-test-with-32-characters'
  const files: Readonly<Record<string, string>> = {
    'a.key': secret,
    'hub.toml': `listen = ["127.0.0.1:9", "unix:/run/hub"]
[hub]
public_urls = ["https://hub.example"]
[admin]
listen = ""
[history]
max_bytes = "3MiB"
max_age = "unlimited"
own_events = "25%"
[[history.rules]]
match = "https://a.example/*"
match_type = "urlpattern"
max_count = 3
[[history.rules]]
match = "b \\"quoted\\" \\u0001"
max_age = "1h"
[[issuers]]
id = "https://a.example"
publisher = { key_file = "a.key", algorithm = "HS256" }
subscriber = { key = "${secret}", algorithm = "HS256" }
[[issuers]]
id = "https://b.example"
subscriber = { jwks_uri = "https://b.example/keys", algorithms = ["ES256", "RS256"] }
`,
  }

  function loaded(parts: Partial<Places>): Configuration {
    const readFile = (path: string) => files[path] ?? expect.unreachable(path)
    const all = load({ argv: [], env: {}, devKeys, isTerminal: false, readFile, ...parts })
    return all.ok ? all : expect.unreachable(JSON.stringify(all.problems))
  }

  function again(first: Configuration, parts: Partial<Places> = {}): Configuration {
    const text = `${settingsInEffect(first.settings, first.origins).join('\n')}\n`
    expect(text).not.toContain(secret)
    const readFile = (path: string) => (path === 'x' ? text : (files[path] ?? expect.unreachable(path)))
    return loaded({ argv: ['--config=x'], readFile, ...parts })
  }

  test('of the defaults, which says the same', () => {
    const first = loaded({})
    expect(again(first).settings).toEqual(first.settings)
  })

  test('with lists, rules and issuers, which says the same but for the key that stood in the configuration', () => {
    const first = loaded({ argv: ['--config=hub.toml'] })
    const [a, b] = first.settings.issuers
    const { subscriber: _, ...rest } = a ?? expect.unreachable()
    expect(again(first).settings).toEqual({ ...first.settings, issuers: [rest, b ?? expect.unreachable()] })
  })

  test('with a key of the environment, which is there again', () => {
    const env = {
      CINNABAR_ISSUERS_0_ID: 'https://a.example',
      CINNABAR_ISSUERS_0_PUBLISHER_KEY: secret,
      CINNABAR_ISSUERS_0_PUBLISHER_ALGORITHM: 'HS256',
      CINNABAR_HUB_PUBLIC_URLS: 'https://hub.example',
      CINNABAR_REDIS_URL: `redis://:${secret}@cache`,
    }
    const first = loaded({ env })
    expect(again(first, { env }).settings).toEqual(first.settings)
  })

  test('of --dev, without the issuer that has no key but those of the run', () => {
    const first = loaded({ argv: ['--dev'] })
    // Nor the console, whose token follows from a key.
    const admin = { ...first.settings.admin, console: false, token: null }
    expect(again(first).settings).toEqual({ ...first.settings, admin, issuers: [] })
  })

  test('as JSON each setting has its value and its origin, and no secret', () => {
    const { settings, origins } = loaded({ argv: ['--config=hub.toml', '--limits-body=2MiB'] })
    const all = settingsAsJson(settings, origins)
    expect(all).toMatchObject({
      'limits.body': { value: '2MiB', origin: 'flag', name: '--limits-body' },
      'hub.anonymous': { value: false, origin: 'default' },
      'history.rules[0].max_count': { value: 3, origin: 'file' },
      'issuers[0].publisher.key': { value: '***', masked: true, file: 'a.key' },
      'issuers[0].subscriber.key': { value: '***', masked: true, origin: 'file' },
    })
    expect(JSON.stringify(all)).not.toContain(secret)
  })
})
