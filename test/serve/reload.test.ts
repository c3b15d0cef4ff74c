import { describe, expect, test } from 'bun:test'
import { load, type Settings } from '../../src/config/load.ts'
import { type Name, names } from '../../src/config/names.ts'
import { planReload } from '../../src/serve/reload.ts'

/** The settings of a command line. */
function settings(...argv: readonly string[]): Settings {
  const devKeys = { publisher: '', subscriber: '' }
  const readFile = () => ''
  const loaded = load({ argv: [...argv], env: {}, readFile, isTerminal: false, devKeys })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.settings
}

const token = ['--admin-token', 'x'.repeat(40)]
const base = [...token, '--hub-public-urls', 'https://hub.example.com']
const running = settings(...base)
const tls = ['--tls-cert-file', '/a.crt', '--tls-key-file', '/a.key']

describe('a reload', () => {
  test('without a change needs no restart', () => {
    expect(planReload(running, settings(...base))).toEqual({ settings: running, needRestart: [] })
  })

  const live = [
    ['--hub-anonymous'],
    ['--hub-cors-origins', 'https://app.example.com'],
    ['--hub-heartbeat', '5s'],
    ['--hub-public-urls', 'https://second.example.com'],
    ['--hub-resource-identifier', 'https://other.example.com/hub'],
    ['--limits-subscribers', '7'],
    ['--log-level', 'debug'],
    ['--proxy-trusted', '10.0.0.0/8'],
    ['--shutdown-drain', '1s'],
  ]
  for (const flags of live) {
    test(`takes ${flags.join(' ')}`, () => {
      const wanted = settings(...base, ...flags)
      expect(wanted).not.toEqual(running)
      expect(planReload(running, wanted)).toEqual({ settings: wanted, needRestart: [] })
    })
  }

  test('S17 is refused when an empty file drops every issuer, and taken otherwise', () => {
    const keys = (id: string) => [
      ...['--issuers-0-id', id, '--issuers-0-publisher-key', 'x'.repeat(32)],
      ...['--issuers-0-publisher-algorithm', 'HS256'],
    ]
    const one = settings(...base, ...keys('a'))
    expect(() => planReload(one, running, true)).toThrow('issuers: the file is empty')
    expect(planReload(one, running).settings.issuers.length).toBe(0)
    expect(planReload(one, one, true).settings.issuers.length).toBe(1)
    expect(planReload(one, settings(...base, ...keys('b'))).settings.issuers[0]?.id).toBe('b')
    expect(planReload(running, one).settings.issuers.length).toBe(1)
    expect(planReload(running, running, true).needRestart).toEqual([])
  })

  const fixed = [
    [['--listen', '127.0.0.1:1'], ['listen']],
    [['--admin-listen', ''], ['admin.listen']],
    [['--no-http2'], ['http2']],
    [
      ['--hub-path', '/hub'],
      ['hub.path', 'hub.resource_identifier'],
    ],
    [['--hub-subscriptions'], ['hub.subscriptions']],
    [['--transport', 'memory'], ['transport']],
    [['--sqlite-path', 'other.db'], ['sqlite.path']],
    [['--history-max-age', '1h'], ['history.max_age']],
    [['--limits-memory', '1GiB'], ['limits.memory']],
    [['--log-format', 'pretty'], ['log.format']],
    [tls, ['tls.cert_file', 'tls.key_file']],
  ] as const
  for (const [flags, names] of fixed) {
    test(`keeps what a restart is needed for: ${flags.join(' ')}`, () => {
      const plan = planReload(running, settings(...base, ...flags))
      expect(plan.needRestart).toEqual([...names])
      expect(plan.settings).toEqual(running)
    })
  }

  const whole = names.filter(({ key, takes }) => takes !== 'file' && !key.includes('[]'))
  const needing = whole.filter(({ meaning }) => meaning.restart).map((name) => [name.key, name] as const)
  test.each(needing)('keeps %s, of which the schema says that it needs a restart', (key, name) => {
    const secure = settings(...base, ...tls)
    const plan = planReload(secure, settings(...base, ...tls, ...another(name)))
    expect(plan.needRestart).toContain(key)
    expect(plan.settings).toEqual(secure)
  })

  test('exchanges tables that repeat together: their members all say the same', () => {
    for (const { key, meaning } of names.filter((name) => name.takes === 'tables')) {
      const members = names.filter((name) => name.key.startsWith(`${key}[]`))
      expect(members.length).toBeGreaterThan(1)
      expect(members.filter((member) => member.meaning.restart !== meaning.restart)).toEqual([])
    }
  })

  test('GEN-12 keeps the URL that relative topics were resolved against', () => {
    const plan = planReload(
      running,
      settings(...token, '--hub-public-urls', 'https://new.example.com', '--hub-anonymous'),
    )
    expect(plan.needRestart).toEqual(['hub.public_urls', 'hub.resource_identifier'])
    expect(plan.settings).toEqual({ ...running, hub: { ...running.hub, anonymous: true } })
  })

  test('takes other certificate files where TLS is on', () => {
    const wanted = settings(...base, '--tls-cert-file', '/b.crt', '--tls-key-file', '/b.key')
    expect(planReload(settings(...base, ...tls), wanted)).toEqual({ settings: wanted, needRestart: [] })
  })
})

/** A flag with a value that is neither the default nor wrong. */
function another({ key, flag, takes, meaning }: Name): readonly string[] {
  if (takes === 'tables') return [`--${flag}`, JSON.stringify([{ match: 'a', max_count: 1 }])]
  if (key === 'transport') return ['--transport', 'memory']
  if (meaning.form === 'boolean') return [`--${flag}=${meaning.fallback !== 'true'}`]
  const words = [...meaning.form.matchAll(/`(\w+)`/g)].map(([, word]) => word ?? '')
  const word = words.find((one) => one !== meaning.fallback && one !== 'unlimited')
  const value = word ?? examples.find(([form]) => meaning.form.includes(form))?.[1]
  if (value === undefined) throw new Error(`no example of ${meaning.form}`)
  return [`--${flag}`, value]
}

const examples = [
  ['percentage', '20%'],
  ['address', '127.0.0.1:7'],
  ['duration', '7s'],
  ['number', '7'],
  ['path', '/other'],
  ['size', '7MiB'],
  ['text', 'other'],
  ['HTTP endpoint', 'http://other.example.com'],
  ['URL', 'redis://other.example.com'],
] as const
