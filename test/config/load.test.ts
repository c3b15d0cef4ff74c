import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Configuration, describeProblem, exitCode, load, type Places } from '../../src/config/load.ts'
import { names } from '../../src/config/names.ts'

const devKeys = { publisher: 'p'.repeat(32), subscriber: 's'.repeat(32) }
const secret = '0123456789abcdef0123456789abcdef'

function places(parts: Partial<Places> & { files?: Readonly<Record<string, string>> } = {}): Places {
  const { files = {}, ...rest } = parts
  const readFile = (path: string) => {
    const text = files[path]
    if (text === undefined) throw new Error('ENOENT')
    return text
  }
  return { argv: [], env: {}, readFile, devKeys, isTerminal: false, ...rest }
}

function accepted(parts: Parameters<typeof places>[0]): Configuration {
  const loaded = load(places(parts))
  if (!loaded.ok) throw new Error(loaded.problems.map(describeProblem).join('\n'))
  return loaded
}

function problemsOf(parts: Parameters<typeof places>[0]): readonly string[] {
  const loaded = load(places(parts))
  return loaded.ok ? [] : loaded.problems.map(describeProblem)
}

const toml = (text: string) => ({ argv: ['--config', 'hub.toml'], files: { 'hub.toml': text } })

describe('defaults', () => {
  test('without any place the table of the interface holds', () => {
    const { settings, origins } = accepted({})
    expect(settings).toMatchObject({
      listen: [{ kind: 'tcp', host: '0.0.0.0', port: 3000 }],
      admin: { listen: { kind: 'tcp', host: '127.0.0.1', port: 3001 }, console: false, token: null },
      tls: { certFile: null, keyFile: null },
      http2: true,
      http3: false,
      hub: {
        path: '/.well-known/mercure',
        publicUrls: [],
        resourceIdentifier: null,
        anonymous: false,
        subscriptions: false,
        legacy: 'off',
        legacyIssuer: null,
        cookieName: '__Secure-mercure_access_token',
        heartbeat: 20_000,
        retry: 0,
        connectionLifetime: 3_600_000,
      },
      issuers: [],
      transport: 'sqlite',
      sqlite: { path: 'cinnabar.db', durability: 'full' },
      history: { maxCount: 100_000, maxAge: 86_400_000, maxBytes: 268_435_456, rules: [] },
      limits: { memory: 0, subscribers: 100_000, subscriberBuffer: 1_048_576, body: 1_048_576, field: 4096 },
      log: { level: 'info', format: 'json' },
      shutdown: { drain: 30_000 },
    })
    expect(origins.size).toBe(0)
  })

  test('the log is pretty on a terminal unless it is told otherwise', () => {
    expect(accepted({ isTerminal: true }).settings.log.format).toBe('pretty')
    expect(accepted({ isTerminal: true, argv: ['--log-format=json'] }).settings.log.format).toBe('json')
  })

  test('AUT-40 the resource identifier follows the first public URL', () => {
    const argv = ['--hub-public-urls', 'https://a.example,https://b.example', '--hub-path=/hub']
    expect(accepted({ argv }).settings.hub.resourceIdentifier).toBe('https://a.example/hub')
    const own = [...argv, '--hub-resource-identifier', 'urn:hub']
    expect(accepted({ argv: own }).settings.hub.resourceIdentifier).toBe('urn:hub')
  })
})

describe('precedence', () => {
  const file = toml('[history]\nmax_age = "1h"\nmax_count = 1\n[hub]\nanonymous = true\n')
  const env = { CINNABAR_HISTORY_MAX_AGE: '2h', CINNABAR_HISTORY_MAX_COUNT: '2' }

  test('a flag wins over the environment, the environment over the file, the file over the default', () => {
    const argv = [...file.argv, '--history-max-age', '3h']
    const { settings, origins } = accepted({ ...file, argv, env })
    expect(settings.history).toMatchObject({ maxAge: 10_800_000, maxCount: 2, maxBytes: 268_435_456 })
    expect(settings.hub.anonymous).toBe(true)
    expect(origins.get('history.max_age')).toEqual({ kind: 'flag', name: '--history-max-age' })
    expect(origins.get('history.max_count')).toMatchObject({ kind: 'environment' })
    expect(origins.get('hub.anonymous')).toEqual({ kind: 'file', name: 'hub.anonymous (hub.toml:5)' })
  })

  test('the file may be named in the environment', () => {
    const { settings } = accepted({ env: { CINNABAR_CONFIG: 'hub.toml' }, files: file.files })
    expect(settings.history.maxCount).toBe(1)
  })

  test('the file in the working folder is read when none is named, else that of the system', () => {
    const files = { 'cinnabar.toml': 'http3 = 1\n', '/etc/cinnabar/cinnabar.toml': 'http2 = false\n' }
    const exists = (path: string) => Object.hasOwn(files, path)
    expect(problemsOf({ files, exists })).toEqual(['http3 (cinnabar.toml:1): 1 is neither true nor false'])
    const system = accepted({ files, exists: (path) => path.startsWith('/etc/') })
    expect([system.settings.http2, system.file]).toEqual([false, '/etc/cinnabar/cinnabar.toml'])
    expect(accepted({ ...file, exists }).file).toBe('hub.toml')
    expect(problemsOf({ files: {}, exists })).toEqual(['cinnabar.toml: cannot be read: ENOENT'])
  })

  test('an empty name stands for no file at all', () => {
    const files = { 'cinnabar.toml': 'http2 = false\n' }
    for (const parts of [
      { argv: ['--config', ''] },
      { argv: ['--config='] },
      { env: { CINNABAR_CONFIG: '' } },
    ]) {
      const { settings, file: read } = accepted({ ...parts, files, exists: () => true })
      expect([settings.http2, read]).toEqual([true, null])
    }
  })

  test('the last of a repeated flag counts, and a repeated list grows', () => {
    const argv = ['--hub-path=/a', '--hub-path=/b', '--listen', ':1', '--listen', ':2,:3']
    const { settings } = accepted({ argv })
    expect(settings.hub.path).toBe('/b')
    expect(settings.listen.map((address) => address.kind === 'tcp' && address.port)).toEqual([1, 2, 3])
  })

  test.each([
    [['--hub-anonymous'], true],
    [['--hub-anonymous=true'], true],
    [['--hub-anonymous=false'], false],
    [['--no-hub-anonymous'], false],
    [['--hub-anonymous', '--no-hub-anonymous'], false],
  ])('%p sets a boolean to %p', (argv, expected) => {
    expect(accepted({ ...file, argv: [...file.argv, ...argv] }).settings.hub.anonymous).toBe(expected)
  })

  test('an empty admin listener is none', () => {
    expect(accepted({ env: { CINNABAR_ADMIN_LISTEN: '' } }).settings.admin.listen).toBeNull()
  })
})

describe('SEC-18 what is unknown is refused', () => {
  test.each([
    [{ argv: ['--hub-anonymos'] }, '--hub-anonymos: is not a flag; did you mean --hub-anonymous?'],
    [{ argv: ['--zzzzzzzzzzzz=1'] }, '--zzzzzzzzzzzz: is not a flag'],
    [{ argv: ['--no-hub-path'] }, /^--no-hub-path: is not a flag/],
    [{ argv: ['--issuers-N-id=x'] }, /^--issuers-N-id: is not a flag/],
    [{ argv: ['word'] }, /belongs to no flag/],
    [{ argv: ['--hub-path'] }, '--hub-path: needs a value'],
    [{ argv: ['--hub-path', '--dev'] }, '--hub-path: needs a value'],
    [
      { env: { CINNABAR_HISTORY_MAXAGE: '1h' } },
      'CINNABAR_HISTORY_MAXAGE: is not a setting; did you mean CINNABAR_HISTORY_MAX_AGE?',
    ],
    [
      toml('[history]\nmax_cuont = 1\n'),
      'history.max_cuont (hub.toml:2): is not a setting; did you mean history.max_count?',
    ],
    [toml('[histroy]\nmax_count = 1\n'), /^histroy \(hub.toml:1\): is not a setting; did you mean history\?/],
    [toml('history = 1\n'), 'history (hub.toml:1): is a section and takes no value'],
    [toml('[issuers]\nid = "a"\n'), /array of tables: write \[\[issuers\]\]/],
  ])('%j', (parts, message) => {
    const [first, ...rest] = problemsOf(parts)
    if (message instanceof RegExp) expect(first).toMatch(message)
    else expect(first).toBe(message)
    expect(rest).toEqual([])
  })

  test('the environment of the other commands is no setting', () => {
    expect(problemsOf({ env: { CINNABAR_TOKEN: 'x', PATH: '/bin', DEBUG: '1' } })).toEqual([])
  })

  test('a file that is missing or no TOML is refused', () => {
    expect(problemsOf({ argv: ['--config=none.toml'] })).toEqual(['none.toml: cannot be read: ENOENT'])
    expect(problemsOf(toml('a = = b'))[0]).toStartWith('hub.toml: is not TOML')
  })

  test.each([
    ['[[issuers]]\nid = "a"\nkey = hunter2\n', 'line 3: a text stands without quotes'],
    ['[redis]\r\nurl = redis://:hunter2@host\r\n', 'line 2: a text stands without quotes'],
    ['publisher = {\n  key = hunter2,\n}\n[hub]\n', 'line 2: a text stands without quotes'],
    ['listen = [\n  "a:1",\n  hunter2,\n]\n[hub]\npath = "/x"\n', 'line 3: a text stands without quotes'],
    ['[hub]\npath = "hunter2\n[log]\n', 'line 2: a quote at the end of a text is missing'],
    ["a = '''\nb\n'''\n[hub]\npath = '''hunter2\n[log]\n", 'line 5: a quote at the end of a text is missing'],
    ['[hub]\npath = "hunter2\\q"\n', 'line 2: a text holds a backslash that begins no escape sequence'],
    ['"hunter2" = 1\n\n"hunter2" = 2\n', 'line 3: a key or a table is there twice'],
    ['hunter2\n', 'line 1: a key has no = after it'],
    ["a = '''\nb\n'''\n\nlisten = [\n  'a:1',\n", 'line 5: an array is not closed'],
    ['[hub]\n\na = {b = "hunter2", ', 'line 3: an inline table is not closed'],
    ['a = 12hunter2', 'line 1'],
  ])('S15 %j is refused by line and kind, without a word of it', (text, message) => {
    expect(problemsOf(toml(text))).toEqual([`hub.toml: is not TOML in ${message}`])
  })

  test('S15 the line of a mistake is found in a long file as well', () => {
    const long = `[hub]\n${'# and so on\n'.repeat(20_000)}`
    expect(problemsOf(toml(`${long}retry = hunter2\n`))[0]).toContain('in line 20002: ')
    expect(problemsOf(toml(`${long}retry = '''\n${'x\n'.repeat(1000)}`))).toEqual([
      'hub.toml: is not TOML: a quote at the end of a text is missing',
    ])
  })

  test('S15 a refused value is shown without the password in it', () => {
    const [problem] = problemsOf({ argv: ['--listen', 'redis://me:hunter2@host/0'] })
    expect(problem).toStartWith('--listen: ["redis://***@host/0"] is not host:port')
  })
})

test('whatever is given is accepted or refused, never thrown', () => {
  const flag = fc.oneof(
    fc.constantFrom(...names.map(({ flag }) => `--${flag.replace('N', '0')}`)),
    fc.string(),
  )
  const value = fc.oneof(fc.string(), fc.json(), fc.constantFrom('0', 'true', '1h', '[]', 'constructor'))
  const key = fc.constantFrom(...names.map(({ env }) => env.replace('_N_', '_0_')), 'SERVER_NAME', 'toString')
  const places = fc.record({
    argv: fc.array(fc.oneof(flag, value)),
    env: fc.dictionary(key, value),
    file: fc.oneof(
      value,
      fc.tuple(fc.constantFrom(...names), value).map(([{ key }, raw]) => `${key} = ${raw}`),
    ),
  })
  fc.assert(
    fc.property(places, ({ argv, env, file }) => {
      const given = { argv: ['--config=f', ...argv], env, readFile: () => file, devKeys, isTerminal: false }
      const loaded = load(given)
      expect(loaded.ok || loaded.problems.length > 0).toBe(true)
    }),
    { numRuns: 500 },
  )
})

describe('problems', () => {
  test('all of them are told at once, by the name that was written', () => {
    const found = problemsOf({
      ...toml('[hub]\nheartbeat = "often"\n'),
      argv: ['--config', 'hub.toml', '--limits-body', 'much', '--tls-cert-file=cert.pem'],
      env: { CINNABAR_HISTORY_MAX_AGE: '0', CINNABAR_NONE: '1' },
    })
    expect(found.map((line) => line.split(': ')[0]).sort()).toEqual([
      '--limits-body',
      '--tls-cert-file',
      'CINNABAR_HISTORY_MAX_AGE',
      'CINNABAR_NONE',
      'hub.heartbeat (hub.toml:2)',
    ])
  })

  test('a wrong command line ends with 2, a wrong value with 78', () => {
    const usage = load(places({ argv: ['--nope'] }))
    const value = load(places({ argv: ['--limits-body=x'] }))
    expect([usage, value].map((loaded) => (loaded.ok ? 0 : exitCode(loaded.problems)))).toEqual([2, 78])
  })

  test('0 is refused for the age and bytes of the history, which unlimited lifts', () => {
    for (const key of ['age', 'bytes']) {
      const [problem] = problemsOf({ argv: [`--history-max-${key}`, '0'] })
      expect(problem).toMatch(/refused; write an? (age|size) such as .*, or the word unlimited/)
    }
    const argv = ['age', 'bytes', 'count'].map((key) => `--history-max-${key}=unlimited`)
    expect<unknown>(accepted({ argv }).settings.history).toMatchObject({
      maxAge: null,
      maxBytes: null,
      maxCount: null,
    })
  })

  test('a history of 0 updates keeps none', () => {
    expect(accepted({ argv: ['--history-max-count=0'] }).settings.history.maxCount).toBe(0)
  })

  test.each(['subscribers', 'subscriber-buffer', 'topics', 'matchers', 'pattern', 'details', 'field'])(
    '0 is refused for limits %s',
    (name) => {
      expect(problemsOf({ argv: [`--limits-${name}=0`] })).toHaveLength(1)
    },
  )

  test.each(['memory', 'subscribers-per-ip', 'subscribers-per-token', 'publish-rate', 'body'])(
    '0 is no limit for limits %s',
    (name) => {
      expect(problemsOf({ argv: [`--limits-${name}=0`] })).toEqual([])
    },
  )

  test('SUB-85 a heartbeat of 0 is none', () => {
    expect(accepted({ argv: ['--hub-heartbeat=0'] }).settings.hub.heartbeat).toBe(0)
  })
})

describe('settings that go together', () => {
  test.each([
    [['--tls-cert-file=c'], '--tls-cert-file: needs tls.key_file beside it'],
    [['--tls-key-file=k'], '--tls-key-file: needs tls.cert_file beside it'],
    [['--http3'], '--http3: needs tls.cert_file and tls.key_file'],
    [['--limits-idle=256s'], '--limits-idle: is longer than 255s'],
    [['--transport=redis'], 'redis.url: is needed with --transport redis'],
    [
      ['--transport=redis', '--redis-sentinels=redis://a'],
      'redis.sentinel_name: is needed with redis.sentinels',
    ],
    [
      ['--transport=redis', '--redis-sentinel-name=a', '--redis-url=redis://a'],
      '--redis-sentinel-name: needs redis.sentinels beside it',
    ],
    [
      ['--transport=redis', '--redis-sentinels=redis://a', '--redis-url=redis://a'],
      '--redis-sentinels: stands beside redis.url: there is one or the other',
    ],
    [['--redis-sentinels=redis://:secret@a'], /^--redis-sentinels: .*without a password$/],
    [['--redis-prefix={a}'], /^--redis-prefix: /],
    [['--admin-listen=0.0.0.0:3000'], '--admin-listen: 0.0.0.0:3000 is given twice'],
    [['--listen=localhost:3001'], 'admin.listen: 127.0.0.1:3001 is given twice'],
    [['--listen=[::1]:1,localhost:1'], '--listen: localhost:1 is given twice'],
    [['--listen='], '--listen: is empty: the hub would listen nowhere'],
    [
      ['--history-rules=[{"match":"a"}]'],
      '--history-rules[0].match: has no limit: set max_count, max_age or max_bytes',
    ],
    [['--history-rules=[{"max_count":1}]'], 'history.rules[0].match: is needed'],
    [['--history-rules={}'], '--history-rules: is not a JSON array of objects'],
    [['--hub-cors-origins=https://a.example/'], /^--hub-cors-origins: /],
  ])('%p is refused', (argv, message) => {
    const [problem, ...rest] = problemsOf({ argv })
    if (message instanceof RegExp) expect(problem).toMatch(message)
    else expect(problem).toBe(message)
    expect(rest).toEqual([])
  })

  test('they are accepted together', () => {
    const argv = [
      '--tls-cert-file=c',
      '--tls-key-file=k',
      '--http3',
      '--transport=redis',
      '--redis-url=redis://x',
    ]
    expect(accepted({ argv }).settings).toMatchObject({ http3: true, transport: 'redis' })
  })

  test('rules of the history are read with their defaults', () => {
    const text = '[[history.rules]]\nmatch = "https://e.com/:id"\nmatch_type = "urlpattern"\nmax_age = "1h"\n'
    expect<unknown>(accepted(toml(text)).settings.history.rules).toEqual([
      { match: 'https://e.com/:id', matchType: 'urlpattern', maxAge: 3_600_000, perTopic: false },
    ])
  })

  test.each([
    [['--hub-heartbeat=45s'], 'hub-heartbeat'],
    [['--hub-cors-origins=null'], 'null'],
    [['--hub-cors-headers=traceparent'], 'hub-cors-headers: says nothing without hub.cors_origins'],
    [['--limits-body=2MiB'], 'limits-body: above limits.subscriber_buffer'],
    [['--limits-body=0'], 'limits-body: above limits.subscriber_buffer'],
    [['--limits-subscriber-buffer=512KiB'], 'limits.body: above limits.subscriber_buffer'],
    [['--limits-id=9KiB'], 'limits-id: readers could not send such ids back'],
    [
      ['--limits-matchers=10000'],
      'limits-matchers: so many URL patterns weigh more than limits.pattern_weight',
    ],
    [[], 'no one may publish'],
    [['--hub-public-urls=https://a.example'], 'https://a.example will be answered 421: the hub has no TLS'],
    [
      ['--hub-public-urls=http://a.example', '--tls-cert-file=c', '--tls-key-file=k'],
      'http://a.example will be answered 421: the hub has TLS',
    ],
    [['--limits-bodies=1KiB'], 'limits-bodies: is less than limits.body'],
    [['--limits-memory=124MiB'], 'limits-memory: the hub may need 125 MiB'],
  ])('%p is allowed with a warning', (argv, part) => {
    const { warnings } = accepted({ argv })
    expect(warnings.map(describeProblem).join('\n')).toContain(part)
  })

  test('H2 public URLs that clients can reach have no warning', () => {
    for (const argv of [
      ['--hub-public-urls=http://a.example'],
      ['--hub-public-urls=https://a.example', '--proxy-trusted=127.0.0.1'],
      ['--hub-public-urls=https://a.example', '--tls-cert-file=c', '--tls-key-file=k'],
    ]) {
      expect(accepted({ argv: [...issuerFlags, ...argv] }).warnings).toEqual([])
    }
  })

  test('a usual configuration has no warning', () => {
    expect(accepted({ argv: issuerFlags }).warnings).toEqual([])
    expect(accepted({ argv: [...issuerFlags, '--limits-memory=256MiB'] }).warnings).toEqual([])
    const larger = ['--limits-body=2MiB', '--limits-subscriber-buffer=2MiB', '--limits-id=8KiB']
    expect(accepted({ argv: [...issuerFlags, ...larger] }).warnings).toEqual([])
  })
})

const issuerFlags = [
  '--issuers-0-id=a',
  `--issuers-0-publisher-key=${secret}`,
  '--issuers-0-publisher-algorithm=HS256',
]
const issuer = { id: 'a', publisher: { key: secret, algorithm: 'HS256' as const } }

describe('issuers', () => {
  test('tables, JSON and numbered names say the same', () => {
    const table = `[[issuers]]\nid = "a"\n[issuers.publisher]\nkey = "${secret}"\nalgorithm = "HS256"\n`
    const env = {
      CINNABAR_ISSUERS_0_ID: 'a',
      CINNABAR_ISSUERS_0_PUBLISHER_KEY: secret,
      CINNABAR_ISSUERS_0_PUBLISHER_ALGORITHM: 'HS256',
    }
    const json = JSON.stringify([issuer])
    for (const parts of [toml(table), { env }, { argv: issuerFlags }, { argv: ['--issuers', json] }]) {
      expect(accepted(parts).settings.issuers).toEqual([issuer])
    }
    expect<unknown>(accepted({ env: { CINNABAR_ISSUERS: json } }).settings.issuers).toEqual([issuer])
  })

  test('a key is read from its file, without the line break at the end', () => {
    const argv = ['--issuers-0-id=a', '--issuers-0-publisher-algorithm=HS256']
    const env = { CINNABAR_ISSUERS_0_PUBLISHER_KEY_FILE: '/run/key' }
    const { settings, origins } = accepted({ argv, env, files: { '/run/key': `${secret}\n` } })
    expect<unknown>(settings.issuers).toEqual([issuer])
    expect(origins.get('issuers[0].publisher.key')?.name).toBe('CINNABAR_ISSUERS_0_PUBLISHER_KEY_FILE')
    expect(problemsOf({ argv, env })).toEqual([
      'CINNABAR_ISSUERS_0_PUBLISHER_KEY_FILE: cannot be read: ENOENT',
    ])
  })

  test('a key set is read with its algorithms', () => {
    const argv = [
      '--issuers-0-id=a',
      '--issuers-0-authorization-server=https://id.example',
      '--issuers-0-subscriber-jwks-uri=https://id.example/jwks',
      '--issuers-0-subscriber-algorithms=ES256,RS256',
      '--issuers-0-subscriber-jwks-insecure',
    ]
    expect<unknown>(accepted({ argv }).settings.issuers).toEqual([
      {
        id: 'a',
        authorizationServer: 'https://id.example',
        subscriber: {
          jwksUri: 'https://id.example/jwks',
          jwksInsecure: true,
          algorithms: ['ES256', 'RS256'],
        },
      },
    ])
  })

  test('all of them at once replace those of a weaker place, one member replaces one member', () => {
    const file = toml(`[[issuers]]\nid = "x"\n[issuers.publisher]\nkey = "${secret}"\nalgorithm = "HS256"\n`)
    const whole = accepted({ ...file, env: { CINNABAR_ISSUERS: JSON.stringify([issuer]) } })
    expect<unknown>(whole.settings.issuers).toEqual([issuer])
    const member = accepted({ ...file, env: { CINNABAR_ISSUERS_0_ID: 'a' } })
    expect<unknown>(member.settings.issuers).toEqual([issuer])
  })

  const key = { key: secret, algorithm: 'HS256' }
  test.each([
    ['a duplicate', [issuer, issuer], /^CINNABAR_ISSUERS\[1\]\.id: is the id of an earlier issuer/],
    ['an empty id', [{ ...issuer, id: '' }], /^CINNABAR_ISSUERS\[0\]\.id: the value is empty/],
    ['no id', [{ publisher: key }], /^issuers\[0\]\.id: is needed/],
    ['no key', [{ id: 'a' }], /^CINNABAR_ISSUERS\[0\]\.id: has no key/],
    ['an empty role', [{ id: 'a', publisher: {} }], /has no key/],
    [
      'a key without algorithm',
      [{ id: 'a', publisher: { key: secret } }],
      /publisher\.key: has no algorithm/,
    ],
    [
      'an algorithm without key',
      [{ id: 'a', publisher: { algorithm: 'HS256' } }],
      /has no key or jwks_uri beside/,
    ],
    ['an unknown algorithm', [{ id: 'a', publisher: { ...key, algorithm: 'none' } }], /is not one of EdDSA/],
    [
      'a key and a key set',
      [{ id: 'a', publisher: { ...key, jwks_uri: 'https://x/y' } }],
      /stands beside a key/,
    ],
    [
      'HMAC with a key set',
      [{ id: 'a', subscriber: { jwks_uri: 'https://x/y', algorithms: ['HS256'] } }],
      /is not one of/,
    ],
    [
      'leave for a key set beside a key',
      [{ id: 'a', publisher: { ...key, jwks_insecure: false } }],
      /publisher\.jwks_insecure: goes with jwks_uri$/,
    ],
    [
      'leave for a key set alone',
      [{ id: 'a', publisher: { jwks_insecure: true } }],
      /publisher\.jwks_insecure: has no key or jwks_uri beside/,
    ],
    ['an unknown member', [{ ...issuer, secret: 'x' }], /^CINNABAR_ISSUERS\[0\]\.secret: is not a setting/],
    ['an entry that is no table', ['a'], /is a section/],
  ])('AUT-39 %s is refused', (_, issuers, message) => {
    const found = problemsOf({ env: { CINNABAR_ISSUERS: JSON.stringify(issuers) } })
    expect(found.join('\n')).toMatch(message)
    expect(found).toHaveLength(1)
  })

  test('a member that is given twice in one place is refused', () => {
    const env = { CINNABAR_ISSUERS: JSON.stringify([issuer]), CINNABAR_ISSUERS_0_ID: 'b' }
    expect(problemsOf({ env }).join()).toContain('is given by')
    const both = ['--issuers-0-publisher-key-file=f']
    const files = { f: secret }
    expect(problemsOf({ argv: [...issuerFlags, ...both], files }).join()).toContain('is given by')
  })

  test('a table that is left out is named', () => {
    const argv = issuerFlags.map((flag) => flag.replace('-0-', '-1-'))
    expect(problemsOf({ argv })).toEqual(['issuers[0].id: is needed'])
  })

  test('no message holds a key, wherever it was put', () => {
    const swapped = { id: 'a', publisher: { key: 'HS256', algorithm: secret, jwks_uri: secret } }
    const parts = [
      { env: { CINNABAR_ISSUERS: JSON.stringify([swapped]) } },
      { env: { CINNABAR_ISSUERS: secret } },
      { env: { CINNABAR_REDIS_URL: secret } },
      { argv: ['--redis-url', 'redis://x', secret] },
      { argv: [`--rediss-url=${secret}`] },
    ]
    for (const each of parts) {
      const found = problemsOf(each)
      expect(found).not.toEqual([])
      expect(found.join()).not.toContain(secret)
    }
  })
})

describe('the console', () => {
  const token = 'a-secret-of-32-characters-or-more'

  test('needs a token of 32 characters or more, on loopback as well', () => {
    expect(problemsOf({ argv: ['--admin-console'] })).toEqual([
      '--admin-console: needs admin.token, a secret of 32 characters or more',
    ])
    expect(problemsOf({ argv: ['--admin-console', '--admin-token', 'short'] })).toEqual([
      '--admin-token: the value has fewer than 32 characters',
    ])
    expect(problemsOf({ argv: ['--admin-token', `${token} ${token}`] })).toEqual([
      '--admin-token: the value holds a character that is not visible ASCII',
    ])
    expect(accepted({ argv: ['--admin-console', '--admin-token', token] }).settings.admin.token).toBe(token)
    const files = { '/run/token': `${token}\n` }
    const fromFile = accepted({ argv: ['--admin-console', '--admin-token-file', '/run/token'], files })
    expect(fromFile.settings.admin.token).toBe(token)
  })

  test('is warned about where its token would leave the machine', () => {
    const warningsOf = (listen: string) =>
      accepted({
        argv: ['--admin-console', '--admin-token', token, '--admin-listen', listen, '--hub-anonymous'],
      })
        .warnings.map(describeProblem)
        .filter((warning) => warning.includes('admin'))
    expect(warningsOf('127.0.0.1:3001')).toEqual([])
    expect(warningsOf('0.0.0.0:3001')).toEqual([
      '--admin-listen: the token of the console needs TLS in front, or loopback and ssh -L',
    ])
    expect(warningsOf('')).toEqual(['--admin-console: is nowhere: admin.listen is empty'])
  })

  test('of --dev has a token that follows from the key, and none without one', () => {
    const once = accepted({ argv: ['--dev'] }).settings.admin
    expect(accepted({ argv: ['--dev'] }).settings.admin).toEqual(once)
    expect(once.token).toMatch(/^[\w-]{43}$/)
    const issuers =
      '[{"id":"https://a.example","publisher":{"key":"0123456789abcdef0123456789abcdef","algorithm":"HS256"}}]'
    expect(accepted({ argv: ['--dev', '--issuers', issuers] }).settings.admin.console).toBe(false)
  })
})

describe('--dev', () => {
  test('is a hub for one developer on one machine', () => {
    const { settings, isDev, warnings } = accepted({ argv: ['--dev'] })
    expect(settings).toMatchObject({
      listen: [{ kind: 'tcp', host: 'localhost', port: 3000 }],
      admin: { console: true, token: expect.stringMatching(/^[\w-]{43}$/), payloads: 'all' },
      hub: {
        anonymous: true,
        subscriptions: true,
        cookieName: 'mercure_access_token',
        corsOrigins: ['http://localhost:*', 'http://127.0.0.1:*', 'http://[::1]:*'],
        publishOrigins: ['http://localhost:*', 'http://127.0.0.1:*', 'http://[::1]:*'],
        resourceIdentifier: 'http://localhost:3000/.well-known/mercure',
      },
      issuers: [
        {
          id: 'http://localhost:3000',
          publisher: { key: devKeys.publisher, algorithm: 'HS256' },
          subscriber: { key: devKeys.subscriber, algorithm: 'HS256' },
        },
      ],
    })
    expect([isDev, warnings]).toEqual([true, []])
  })

  test('gives way to whatever is given otherwise', () => {
    const env = { CINNABAR_HUB_ANONYMOUS: 'false', CINNABAR_LISTEN: 'localhost:8080' }
    const { settings } = accepted({ argv: ['--dev', '--hub-path=/hub', ...issuerFlags], env })
    expect(settings.hub).toMatchObject({ anonymous: false, resourceIdentifier: 'http://localhost:8080/hub' })
    expect<unknown>(settings.issuers).toEqual([issuer])
  })

  test('M14 asks for keys only when it makes an issuer of them, and says why there are none', () => {
    const none = () => {
      throw new Error('there are none')
    }
    expect(problemsOf({ argv: ['--dev'], devKeys: none })).toEqual(['--dev: there are none'])
    expect(problemsOf({ argv: ['--dev', ...issuerFlags], devKeys: none })).toEqual([])
    expect(problemsOf({ devKeys: none })).toEqual([])
  })

  test('M14 a command speaks of the hub that has the keys, unless it is told where the hub is', () => {
    const hub = { url: 'http://localhost:8080/hub', issuer: 'http://localhost:0', audience: 'urn:x' }
    const keys = () => ({ ...devKeys, hub })
    for (const argv of [['--dev'], ['--dev', '--listen=localhost:0']]) {
      const { settings } = accepted({ argv, devKeys: keys })
      expect(settings.hub).toMatchObject({ path: '/hub', resourceIdentifier: 'urn:x' })
      expect(settings.issuers[0]?.id).toBe('http://localhost:0')
    }
    const { settings } = accepted({ argv: ['--dev', '--listen=[::1]:9'], devKeys: keys })
    expect(settings.hub.resourceIdentifier).toBe('http://[::1]:9/.well-known/mercure')
    expect(settings.issuers[0]?.id).toBe('http://[::1]:9')
  })

  test('follows a public URL', () => {
    const { settings } = accepted({ argv: ['--dev', '--hub-public-urls=http://hub.localhost'] })
    expect(settings.hub.resourceIdentifier).toBe('http://hub.localhost/.well-known/mercure')
  })

  test('AUT-40 leaves the resource identifier to each request when the system chooses the port', () => {
    const { settings } = accepted({ argv: ['--dev', '--listen=127.0.0.1:0'] })
    expect(settings.hub.resourceIdentifier).toBeNull()
  })

  test.each([
    '--listen=0.0.0.0:3000',
    '--listen=:3000',
    '--listen=[::]:3000',
    '--admin-listen=10.0.0.1:3001',
  ])('refuses %s, which is not loopback', (flag) => {
    expect(problemsOf({ argv: ['--dev', flag] }).join()).toContain('--dev listens on loopback only')
  })

  test('is never a default', () => {
    expect(accepted({ env: {} }).isDev).toBe(false)
    expect(problemsOf({ env: { CINNABAR_DEV: 'true' } })).toHaveLength(1)
  })
})
