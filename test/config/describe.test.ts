import { expect, test } from 'bun:test'
import { settingsHelp, settingsInEffect, settingsReference } from '../../src/config/describe.ts'
import { load } from '../../src/config/load.ts'
import { names } from '../../src/config/names.ts'

const devKeys = {
  publisher: 'publisher-secret-of-32-characters',
  subscriber: 'subscriber-secret-of-32-characters',
}

test('every setting is in the help and in the reference', () => {
  const [help, reference] = [settingsHelp(), settingsReference()]
  for (const name of names) {
    expect(help).toContain(name.flag)
    expect(reference).toContain(`| \`${name.key}\` |`)
    expect(reference).toContain(`\`${name.env}\``)
  }
})

test('the reference marks what a reload leaves as it is', () => {
  const reference = settingsReference()
  for (const { env, meaning } of names) {
    expect(reference).toContain(`\`${env}\` | ${meaning.restart ? 'restart' : ''} |`)
  }
})

test('a name is spelled the same everywhere', () => {
  expect(names.find(({ key }) => key === 'history.max_age')).toMatchObject({
    flag: 'history-max-age',
    env: 'CINNABAR_HISTORY_MAX_AGE',
  })
  expect(new Set(names.map(({ flag }) => flag)).size).toBe(names.length)
})

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
    'admin.listen = 127.0.0.1:3001  # default',
    'hub.anonymous = true  # --dev',
    'hub.retry = 3s  # file (hub.retry (hub.toml:2))',
    'issuers[0].publisher.key = ***  # --dev',
    'history.max_age = 2h  # flag (--history-max-age)',
    'history.max_count = unlimited  # flag (--history-max-count)',
    'redis.url = ***  # flag (--redis-url)',
    'tls.cert_file = ""  # default',
    'limits.body = 2MiB  # environment (CINNABAR_LIMITS_BODY)',
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
  expect(lines.find((line) => line.includes('jwks_uri'))).toContain(' = https://***@id.example/keys?a=b@c ')
  expect(lines).toContain('hub.cors_origins = ["https://a.example"]  # flag (--hub-cors-origins)')
  expect(lines.join()).not.toContain('hunter2')
})
