import { describe, expect, test } from 'bun:test'
import { runImport } from '../../../src/cli/caddyfile/command.ts'
import type { CommandIo } from '../../../src/command/command.ts'
import { load } from '../../../src/config/load.ts'
import { commandIo } from '../../support/command-io.ts'

const secret = '!ChangeThisMercureHubJWTSecretKey!'
/** HMAC keys are as long as what they make (RFC 7518 section 3.2). */
const longer = secret.repeat(2)

async function imported(text: string, more: readonly string[] = [], parts: Partial<CommandIo> = {}) {
  const recorded = commandIo({ readFile: () => text, ...parts })
  const code = await runImport(['caddyfile', 'Caddyfile', ...more], recorded.io)
  return { code, toml: recorded.out(), problems: recorded.err() }
}

/** The settings of a configuration that must be valid. */
function settingsOf(toml: string) {
  const loaded = load({
    argv: ['--config', 'made.toml'],
    env: {},
    readFile: () => toml,
    devKeys: () => {
      throw new Error('no keys in this test')
    },
    isTerminal: false,
  })
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join('\n'))
  return loaded.settings
}

const site = (lines: string, address = ':3000') => `${address} {\n\tmercure {\n${lines}\n\t}\n}\n`
const keys = `publisher_jwt ${secret}\nsubscriber_jwt ${secret}`

describe('import caddyfile', () => {
  test('a file of 0.x: keys without issuer, and each directive in its setting', async () => {
    const { code, toml, problems } = await imported(
      site(`
        publisher_jwt ${longer} HS512
        subscriber_jwt ${secret}
        anonymous
        subscriptions
        cors_origins https://a.example https://b.example
        publish_origins *
        cookie_name auth
        heartbeat 30s
        write_timeout 0s
        transport_url bolt:///data/mercure.db?size=50&bucket_name=other&cleanup_frequency=0.5
      `),
    )
    expect([code, problems]).toEqual([0, ''])
    const { hub, issuers, listen, sqlite, history } = settingsOf(toml)
    expect(hub).toMatchObject({ legacy: '8', anonymous: true, subscriptions: true, cookieName: 'auth' })
    expect(hub).toMatchObject({
      corsOrigins: ['https://a.example', 'https://b.example'],
      publishOrigins: ['*'],
    })
    expect(hub).toMatchObject({ heartbeat: 30_000, connectionLifetime: 0 })
    expect(issuers).toMatchObject([
      { publisher: { key: longer, algorithm: 'HS512' }, subscriber: { key: secret, algorithm: 'HS256' } },
    ])
    expect(listen).toMatchObject([{ host: '0.0.0.0', port: 3000 }])
    expect([sqlite.path, history.maxCount, history.maxAge]).toEqual(['/data/cinnabar.db', 50, null])
    expect(toml).toContain('cinnabar history import --from bolt /data/mercure.db --bucket other')
  })

  test('a file of 1.0: issuers with their own keys, and no 0.x', async () => {
    const { code, toml, problems } = await imported(
      site(
        `issuer https://a.example {
          authorization_server
          publisher {
            jwt ${secret}
          }
          subscriber {
            jwks_uri https://a.example/jwks RS256 ES256
          }
        }
        issuer https://b.example {
          subscriber {
            jwt ${longer} HS384
          }
        }
        resource_identifier https://hub.example.com/.well-known/mercure
        max_request_body_size 512KB`,
        'hub.example.com',
      ).replace('\tmercure', '\ttls /cert.pem /key.pem\n\tmercure'),
    )
    expect([code, problems]).toEqual([0, ''])
    const { hub, issuers, listen, tls, limits } = settingsOf(toml)
    expect(issuers).toMatchObject([
      {
        id: 'https://a.example',
        authorizationServer: 'https://a.example',
        publisher: { key: secret, algorithm: 'HS256' },
        subscriber: { jwksUri: 'https://a.example/jwks', algorithms: ['RS256', 'ES256'] },
      },
      { id: 'https://b.example', subscriber: { key: longer, algorithm: 'HS384' } },
    ])
    expect(hub).toMatchObject({ legacy: 'off', publicUrls: ['https://hub.example.com'] })
    expect(hub.resourceIdentifier).toBe('https://hub.example.com/.well-known/mercure')
    expect(tls).toEqual({ certFile: '/cert.pem', keyFile: '/key.pem' })
    expect([limits.body, listen]).toMatchObject([512_000, [{ port: 443 }]])
  })

  test('variables come from the environment, whole lines too, and the lines keep their numbers', async () => {
    const text = `{$SERVER_NAME:localhost} {\n mercure {\n  {$MERCURE_EXTRA_DIRECTIVES}\n  publisher_jwks_url {env.URL}\n  nonsense\n }\n}`
    const env = {
      SERVER_NAME: ':80',
      URL: 'https://a.example/jwks',
      MERCURE_EXTRA_DIRECTIVES: 'anonymous\nheartbeat 10s',
    }
    const { code, toml, problems } = await imported(text, [], { env })
    expect([code, problems]).toEqual([1, 'line 5: nonsense is not known here\n'])
    expect(settingsOf(toml)).toMatchObject({
      hub: { anonymous: true, heartbeat: 10_000 },
      listen: [{ port: 80 }],
      issuers: [{ publisher: { jwksUri: 'https://a.example/jwks' } }],
    })
  })

  test('a variable without a value is named, and the file has a place for it', async () => {
    const { code, toml, problems } = await imported(
      site('publisher_jwks_url {env.URL}\ncors_origins {$ORIGINS}'),
    )
    expect(code).toBe(1)
    expect(problems).toContain('ORIGINS has no value here')
    expect(problems).toContain('line 3: URL has no value here')
    expect(toml).toContain('# key_file = "…"')
    expect(settingsOf(toml).issuers).toEqual([])
  })

  test('keys that this hub takes from the same variables stay there', async () => {
    const name = (role: string, part: string) => `{env.MERCURE_${role}_JWT_${part}}`
    const lines = ['PUBLISHER', 'SUBSCRIBER'].map(
      (role) => `${role.toLowerCase()}_jwt ${name(role, 'KEY')} ${name(role, 'ALG')}`,
    )
    const variables = { MERCURE_PUBLISHER_JWT_KEY: secret, MERCURE_SUBSCRIBER_JWT_KEY: secret }
    for (const env of [{}, variables]) {
      const { code, toml, problems } = await imported(site(lines.join('\n')), [], { env })
      expect([code, problems, toml.includes(secret)]).toEqual([0, '', false])
      expect(toml).toContain(
        'the hub takes MERCURE_PUBLISHER_JWT_KEY and MERCURE_PUBLISHER_JWT_ALG from its environment',
      )
      const loaded = load({
        argv: ['--config', 'made.toml'],
        env: variables,
        readFile: () => toml,
        devKeys: () => {
          throw new Error('no keys in this test')
        },
        isTerminal: false,
      })
      expect(loaded).toMatchObject({
        ok: true,
        settings: {
          hub: { legacy: '8' },
          issuers: [{ publisher: { key: secret }, subscriber: { key: secret, algorithm: 'HS256' } }],
        },
      })
    }
    const other = await imported(site('publisher_jwt {env.MERCURE_PUBLISHER_JWT_KEY} RS256'))
    expect([other.code, other.problems]).toMatchObject([
      1,
      expect.stringContaining('set MERCURE_PUBLISHER_JWT_ALG'),
    ])
  })

  test('a key in another variable is not copied: it is named, in whichever way the line asks for it', async () => {
    for (const word of [
      '{env.KEY}',
      '{$KEY}',
      '"{$KEY}"',
      '{$KEY:other}',
      'prefix{env.KEY}',
      'prefix{$KEY}',
    ]) {
      const { code, toml, problems } = await imported(site(`publisher_jwt ${word}`), [], {
        env: { KEY: secret },
      })
      expect([code, problems]).toEqual([
        1,
        'line 3: the key in KEY is not copied: write it to a file and name that in key_file\n',
      ])
      expect(toml).not.toContain(secret)
      expect(settingsOf(toml).issuers).toEqual([])
    }
    const literal = await imported(site('publisher_jwt {$KEY:literal-literal-literal-literal-literal}'))
    expect(settingsOf(literal.toml).issuers[0]?.publisher?.key).toBe(
      'literal-literal-literal-literal-literal',
    )
    const file = await imported(site('publisher_jwt {file./run/secrets/key} HS512'))
    expect(file.code).toBe(0)
    expect(file.toml).toContain('key_file = "/run/secrets/key"\nalgorithm = "HS512"')
  })

  test('a directive that is there twice is listed, unless it says the same', async () => {
    const twice = await imported(site(`${keys}\nheartbeat 10s\nheartbeat 20s`))
    expect([twice.code, twice.problems]).toEqual([1, 'line 6: heartbeat is there again: line 5 was taken\n'])
    expect(settingsOf(twice.toml).hub.heartbeat).toBe(10_000)
    const same = await imported(site(`${keys}\nanonymous\nanonymous`))
    expect([same.code, same.problems]).toEqual([0, ''])
    const transports = await imported(site(`${keys}\ntransport local\ntransport_url bolt://m.db`))
    expect(transports.problems).toBe('line 6: a second transport: the first one was taken\n')
  })

  test('directives of Caddy that keep somebody out, or say where the hub is, are not dropped in silence', async () => {
    for (const [around, said] of [
      ['basic_auth {\n  a b\n }', 'line 2: basic_auth is not taken over'],
      ['bind 127.0.0.1', 'line 2: bind is not taken over: see listen'],
      ['forward_auth auth:80', 'line 2: forward_auth is not taken over'],
    ] as const) {
      const { code, problems } = await imported(`:80 {\n ${around}\n mercure {\n${keys}\n }\n}`)
      expect([code, problems]).toMatchObject([1, expect.stringContaining(said)])
    }
    const port = await imported(`{\n http_port 8080\n}\n${site(keys)}`)
    expect(port.problems).toBe('line 2: http_port is not taken over: see listen\n')
    const selected = await imported(`:80 {\n mercure /hub/* {\n${keys}\n }\n}`)
    expect(selected.problems).toBe('line 2: mercure selects requests for the hub; see hub.path\n')
    const route = await imported(`&(hub) {\n mercure {\n${keys}\n }\n}`)
    expect(route.problems).toContain('the address of the site is not understood')
  })

  test('nothing is guessed: everything that is not understood is listed with its line', async () => {
    const wrong = [
      ['nonsense 1', 'nonsense is not known here'],
      ['heartbeat often', 'heartbeat has a value'],
      ['heartbeat', 'heartbeat has a value'],
      ['protocol_version_compatibility 6', 'protocol_version_compatibility has a value'],
      ['max_request_body_size much', 'max_request_body_size has a value'],
      ['anonymous false', 'anonymous takes no value'],
      ['public_urls https://a.example/other', 'public_urls has a value'],
      ['transport redis {\n url redis://x\n}', 'the transport is none of'],
      ['transport bolt {\n size many\n}', 'the size of the history'],
      ['transport bolt {\n other 1\n}', 'an option that is not known'],
      ['import keys.conf', 'import is not known here'],
      ['constructor', 'constructor is not known here'],
      ['cors_origins {http.request.host}', 'a placeholder that is not known'],
      ['anonymous {\n}', 'anonymous has a block'],
      ['transport bolt {\n size 1\n size 2\n}', 'size is there again'],
      ['issuer a {\n authorization_server b c\n}', 'authorization_server is no part'],
      ['issuer a {\n}', 'issuer has no keys'],
      ['issuer a b', 'issuer takes one identifier'],
      ['issuer a {\n publisher {\n  jwt x\n  jwks_uri y\n }\n}', 'publisher takes one jwt'],
      ['issuer a {\n publisher {\n  other x\n }\n}', 'other is no key'],
      ['issuer a {\n other\n}', 'other is no part of an issuer'],
    ] as const
    for (const [lines, said] of wrong) {
      const { code, problems, toml } = await imported(site(`${keys}\n${lines}`))
      expect({ code, said: problems.includes(said) && /^line \d+: /.test(problems), lines }).toEqual({
        code: 1,
        said: true,
        lines,
      })
      expect(toml).toContain('# TO DO, line ')
    }
  })

  test('a value that the hub does not take is a mistake by the name of its setting', async () => {
    const { code, problems } = await imported(site(`${keys}\ncors_origins example.com`))
    expect([code, problems]).toMatchObject([1, expect.stringContaining('hub.cors_origins')])
  })

  test('a key that the hub could not read is a mistake by the name of its setting, without its text', async () => {
    const pem = '-----BEGIN PUBLIC KEY-----\nMFkwEwYH\n-----END PUBLIC KEY-----'
    const { code, problems } = await imported(site(`publisher_jwt \`${pem}\` RS256`))
    expect([code, problems]).toMatchObject([1, expect.stringContaining('issuers[0].publisher.key: ')])
    expect(problems).not.toContain('MFkwEwYH')
    const missing = await imported(site('publisher_jwt {file./none} HS256'), [], {
      readFile: (path) => {
        if (path !== 'Caddyfile') throw new Error('no such file')
        return site('publisher_jwt {file./none} HS256')
      },
    })
    expect([missing.code, missing.problems]).toMatchObject([1, expect.stringContaining('key_file')])
  })

  test('a key in PEM without its algorithm is not taken for a secret', async () => {
    const { code, toml, problems } = await imported(site('publisher_jwt "-----BEGIN PUBLIC KEY-----"'))
    expect(code).toBe(1)
    expect(problems).toContain('a key in PEM needs its algorithm')
    expect(toml).not.toContain('algorithm = "HS256"')
  })

  test('directives of Caddy, and those that are not needed here, are remarks and no mistakes', async () => {
    const text = `{\n debug\n}\n:3000 {\n encode gzip\n mercure {\n${keys}\n demo\n dispatch_timeout 5s\n }\n respond 404\n}`
    const { code, toml, problems } = await imported(text)
    expect([code, problems]).toEqual([0, ''])
    for (const name of ['debug', 'encode', 'respond', 'demo', 'dispatch_timeout']) {
      expect(toml).toMatch(new RegExp(`^# line \\d+: ${name}: `, 'm'))
    }
  })

  test('a site whose certificates Caddy gets by itself is one that somebody must look at', async () => {
    const { code, toml, problems } = await imported(site(keys, 'hub.example.com'))
    expect([code, problems]).toMatchObject([1, expect.stringContaining('certificates')])
    expect(settingsOf(toml).hub.publicUrls).toEqual(['https://hub.example.com'])
  })

  test('a hub in a route or a snippet is found; a second one is named', async () => {
    const routed = await imported(`:80 {\n route {\n  mercure {\n${keys}\n  }\n }\n}`)
    expect(routed.code).toBe(0)
    const snippet = await imported(`(hub) {\n mercure {\n${keys}\n }\n}\n:80 {\n import hub\n}`)
    expect(snippet.code).toBe(0)
    const two = await imported(`${site(keys)}${site(keys, ':4000')}`)
    expect([two.code, two.problems]).toMatchObject([1, expect.stringContaining('a second hub')])
    const handled = await imported(`:80 {\n handle /hub* {\n  mercure {\n${keys}\n  }\n }\n}`)
    expect(handled.problems).toContain('selects requests')
  })

  test('lines alone are those of MERCURE_EXTRA_DIRECTIVES', async () => {
    const { code, toml } = await imported('', ['--directives'], {
      readFile: () => 'anonymous\nsubscriptions\n',
    })
    expect(code).toBe(0)
    expect(settingsOf(toml).hub).toMatchObject({ anonymous: true, subscriptions: true, legacy: 'off' })
    const stdin = commandIo({ stdin: async () => 'anonymous' })
    expect(await runImport(['caddyfile', '--directives', '-'], stdin.io)).toBe(0)
    expect(stdin.out()).toContain('anonymous = true')
  })

  test('no text of the file is in a message: anything may be a key', async () => {
    const { problems } = await imported(site(`publisher_jwt a b c\n"${secret}" x\n${secret} { "`))
    expect(problems).not.toContain('ChangeThis')
    const unknown = await imported(site(`"${secret}"`))
    expect(unknown.problems).toContain('the directive is not known here')
  })

  test('what is no Caddyfile of a hub makes no configuration', async () => {
    for (const [text, said] of [
      ['', 'no mercure block'],
      [':80 {\n respond 404\n}', 'no mercure block'],
      [':80 {\n import hub.conf\n}', 'no mercure block in the file; line 2 has an import'],
      ['{\n mercure {\n }\n}', 'no mercure block'],
      [':80 {\n mercure {', 'a brace is not closed'],
      ['x'.repeat(2 * 1024 * 1024), 'too large'],
    ] as const) {
      const { code, toml, problems } = await imported(text)
      expect([code, toml]).toEqual([1, ''])
      expect(problems).toContain(said)
    }
    const unreadable = commandIo()
    expect(await runImport(['caddyfile', 'none'], unreadable.io)).toBe(1)
    const usage = commandIo()
    expect(await runImport(['nginx', 'file'], usage.io)).toBe(2)
  })

  test('the file is valid TOML whatever a value holds', async () => {
    const odd = 'a"b\\c\u007F\u0001'
    const { toml } = await imported(site(`publisher_jwt \`${odd}\``))
    expect(settingsOf(toml).issuers[0]?.publisher?.key).toBe(odd)
  })
})
