import { describe, expect, test } from 'bun:test'
import { legacyIssuer } from '../../src/config/borrowed/container.ts'
import { describeProblem, load } from '../../src/config/load.ts'

const secret = '!ChangeThisMercureHubJWTSecretKey!'

function read(env: Readonly<Record<string, string>>, argv: readonly string[] = []) {
  const devKeys = { publisher: secret, subscriber: secret }
  return load({ argv, env, readFile: () => '', devKeys, isTerminal: false })
}

function settingsOf(...given: Parameters<typeof read>) {
  const loaded = read(...given)
  if (!loaded.ok) throw new Error(loaded.problems.map(describeProblem).join('\n'))
  return loaded
}

function problemsOf(...given: Parameters<typeof read>): readonly string[] {
  const loaded = read(...given)
  return loaded.ok ? [] : loaded.problems.map(describeProblem)
}

describe('keys of the reference container image', () => {
  test('are bound to each trusted issuer', () => {
    const { settings, origins } = settingsOf({
      MERCURE_PUBLISHER_JWT_KEY: secret,
      MERCURE_SUBSCRIBER_JWT_KEY: `${secret}2`,
      MERCURE_SUBSCRIBER_JWT_ALG: 'HS384',
      MERCURE_TRUSTED_ISSUERS: 'https://a.example, https://b.example',
    })
    const keys = {
      publisher: { key: secret, algorithm: 'HS256' },
      subscriber: { key: `${secret}2`, algorithm: 'HS384' },
    }
    expect<unknown>(settings.issuers).toEqual([
      { id: 'https://a.example', ...keys },
      { id: 'https://b.example', ...keys },
    ])
    expect(origins.get('issuers[1].subscriber.algorithm')).toEqual({
      kind: 'environment',
      name: 'MERCURE_SUBSCRIBER_JWT_ALG',
    })
  })

  test('without issuer are refused where 0.x is off, with a hint', () => {
    const [problem, ...rest] = problemsOf({ MERCURE_PUBLISHER_JWT_KEY: secret, CINNABAR_HUB_LEGACY: 'off' })
    expect(problem).toMatch(/^MERCURE_PUBLISHER_JWT_KEY: .*MERCURE_TRUSTED_ISSUERS.*hub\.legacy/)
    expect(rest).toEqual([])
  })

  test('LEG-14 without issuer are bound to an implicit one in compatibility mode', () => {
    const { settings } = settingsOf({ MERCURE_PUBLISHER_JWT_KEY: secret, CINNABAR_HUB_LEGACY: '8' })
    expect<unknown>(settings.issuers).toEqual([
      { id: legacyIssuer, publisher: { key: secret, algorithm: 'HS256' } },
    ])
  })

  test('LEG-14 without issuer mean a 0.x installation, and a line says so', () => {
    const { settings, warnings } = settingsOf({ MERCURE_PUBLISHER_JWT_KEY: secret })
    expect([settings.hub.legacy, settings.issuers[0]?.id]).toEqual(['8', legacyIssuer])
    expect(warnings.map(describeProblem)).toEqual([
      'MERCURE_PUBLISHER_JWT_KEY: is bound to no issuer: tokens of 0.x are accepted, as with hub.legacy = "8"',
    ])
  })

  test('without issuer never switch the checks of issuers of this hub off', () => {
    const issuers = JSON.stringify([{ id: 'x', publisher: { key: secret, algorithm: 'HS512' } }])
    const env = { MERCURE_PUBLISHER_JWT_KEY: secret, CINNABAR_ISSUERS: issuers }
    expect(problemsOf(env).join()).toContain('is bound to no issuer')
  })

  test('issuers without keys are refused', () => {
    expect(problemsOf({ MERCURE_TRUSTED_ISSUERS: 'https://a.example' }).join()).toContain(
      'needs MERCURE_PUBLISHER',
    )
  })

  test('give way to issuers of this hub', () => {
    const issuers = [{ id: 'x', publisher: { key: secret, algorithm: 'HS512' } }]
    const env = { MERCURE_PUBLISHER_JWT_KEY: 'k', MERCURE_TRUSTED_ISSUERS: 'y' }
    expect<unknown>(
      settingsOf({ ...env, CINNABAR_ISSUERS: JSON.stringify(issuers) }).settings.issuers,
    ).toEqual(issuers)
  })

  test('a wrong algorithm is told by its own name', () => {
    const env = {
      MERCURE_PUBLISHER_JWT_KEY: secret,
      MERCURE_TRUSTED_ISSUERS: 'y',
      MERCURE_PUBLISHER_JWT_ALG: 'no',
    }
    expect(problemsOf(env).join()).toMatch(/^MERCURE_PUBLISHER_JWT_ALG: the value is not one of/)
  })

  test('what is set and empty is not there', () => {
    expect(
      problemsOf({ MERCURE_PUBLISHER_JWT_KEY: '', SERVER_NAME: '', MERCURE_EXTRA_DIRECTIVES: '' }),
    ).toEqual([])
  })
})

describe('SERVER_NAME', () => {
  const tls = ['--tls-cert-file=c', '--tls-key-file=k']

  test.each([
    [':80', ['0.0.0.0:80'], []],
    ['127.0.0.1:8080', ['127.0.0.1:8080'], []],
    ['localhost:8080', ['localhost:8080'], []],
    ['http://hub.example', ['0.0.0.0:80'], []],
    ['http://hub.example:8080', ['0.0.0.0:8080'], []],
    [':80, http://php:81', ['0.0.0.0:80', '0.0.0.0:81'], []],
    ['hub.example', ['0.0.0.0:443'], tls],
    ['https://hub.example:8443', ['0.0.0.0:8443'], tls],
  ])('%s listens on %p', (name, listen, argv) => {
    const { settings } = settingsOf({ SERVER_NAME: name }, argv)
    const written = settings.listen.map((each) => (each.kind === 'tcp' ? `${each.host}:${each.port}` : ''))
    expect(written).toEqual(listen)
  })

  test.each([
    'hub.example',
    'localhost',
    'https://hub.example',
    'hub.example:8080',
    ':443',
    ':80, hub.example',
  ])('%s would need automatic certificates and is refused', (name) => {
    const [problem, ...rest] = problemsOf({ SERVER_NAME: name })
    expect(problem).toMatch(/^SERVER_NAME: asks for automatic certificates/)
    expect(rest).toEqual([])
  })

  test('gives way to listen', () => {
    const { settings } = settingsOf({ SERVER_NAME: ':80' }, ['--listen=127.0.0.1:9'])
    expect(settings.listen).toEqual([{ kind: 'tcp', host: '127.0.0.1', port: 9 }])
  })
})

test.each([
  ['MERCURE_EXTRA_DIRECTIVES', 'cinnabar import caddyfile --directives'],
  ['MERCURE_TRANSPORT_URL', 'transport'],
  ['MERCURE_LICENSE', 'serve --help'],
  ['CADDY_EXTRA_CONFIG', 'no Caddy'],
  ['GLOBAL_OPTIONS', 'no Caddy'],
  ['JWT_KEY', 'issuers[]'],
  ['CORS_ALLOWED_ORIGINS', 'hub.cors_origins'],
  ['ADDR', 'listen'],
])('%s is refused with a hint, never ignored', (name, hint) => {
  const [problem, ...rest] = problemsOf({ [name]: 'hunter2' })
  expect(problem).toStartWith(`${name}: `)
  expect(problem).toContain(hint)
  expect(problem).not.toContain('hunter2')
  expect(rest).toEqual([])
})
