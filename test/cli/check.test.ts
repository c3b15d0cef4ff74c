import { describe, expect, test } from 'bun:test'
import { runCheck } from '../../src/cli/check.ts'
import { runConfig } from '../../src/cli/config.ts'
import { commandIo } from '../support/command-io.ts'

const secret = '0123456789abcdef0123456789abcdef'
const issuer = { id: 'a', publisher: { key: secret, algorithm: 'HS256' } }
// So few fit into the descriptors of any machine.
const few = { CINNABAR_LIMITS_SUBSCRIBERS: '10' }
const audience = { CINNABAR_HUB_RESOURCE_IDENTIFIER: 'https://hub.example.com/hub' }
const env = { CINNABAR_ISSUERS: JSON.stringify([issuer]), ...audience, ...few }

describe('cinnabar check', () => {
  test('a valid configuration ends with 0', async () => {
    const { io, out, err } = commandIo({ env })
    expect(await runCheck([], io)).toBe(0)
    expect([out().split('\n')[0], err()]).toEqual(['The configuration is valid.', ''])
  })

  test('tells what it may come to, and which limit ends the past', async () => {
    const { io, out } = commandIo({ env })
    expect(await runCheck(['--history-max-count', '6000'], io)).toBe(0)
    expect(out().split('\n').slice(1, -1)).toEqual([
      'With 10 readers, one in a hundred stalled, and 100 updates of 1 KiB a second:',
      '  memory: 90MiB usually, 285MiB at most',
      '  history: readers may stay away for 1m, then history.max_count ends it, 16MiB of disk at most',
    ])
  })

  test('a file that was found and not named is told', async () => {
    const { io, out } = commandIo({ env, exists: () => true, readFile: () => 'http2 = false\n' })
    expect(await runCheck([], io)).toBe(0)
    expect(out()).toStartWith('The configuration is valid.\n')
    expect(out()).toEndWith('\nIt was read from cinnabar.toml.\n')
  })

  test('every problem is told at once, with 78', async () => {
    const { io, out, err } = commandIo({ env: { ...env, CINNABAR_HUB_HEARTBEAT: 'x' } })
    expect(await runCheck(['--history-max-age', '0', '--tls-key-file=k'], io)).toBe(78)
    expect(out()).toBe('')
    const named = err()
      .trim()
      .split('\n')
      .map((line) => line.split(':')[0])
    expect(named.sort()).toEqual(['--history-max-age', '--tls-key-file', 'CINNABAR_HUB_HEARTBEAT'])
  })

  test('AUT-38 a key that does not fit its algorithm is found, and not shown', async () => {
    const short = { ...issuer, publisher: { key: 'hunter2', algorithm: 'HS256' } }
    const { io, err } = commandIo({ env: { ...env, CINNABAR_ISSUERS: JSON.stringify([short]) } })
    expect(await runCheck([], io)).toBe(78)
    expect(err()).toStartWith('issuers[0].publisher.key: ')
    expect(err()).not.toContain('hunter2')
  })

  test('what only a start would meet is found without one', async () => {
    const rules = JSON.stringify([{ match: '{unclosed', match_type: 'urlpattern', max_count: 1 }])
    const tls = ['--tls-cert-file=/nowhere/cert.pem', '--tls-key-file=/nowhere/key.pem']
    const redis = ['--transport=redis', '--redis-url=rediss://127.0.0.1', '--redis-ca-file=/nowhere/ca.pem']
    const { io, out, err } = commandIo({ env })
    expect(await runCheck([`--history-rules=${rules}`, ...redis, ...tls], io)).toBe(78)
    expect(out()).toBe('')
    const named = err()
      .trim()
      .split('\n')
      .map((line) => line.split(/[ :]/, 1)[0])
    expect(named).toEqual(['history.rules[0].match', 'tls.cert_file', 'redis.ca_file'])
  })

  test('a warning is told, and is no error', async () => {
    const { io, err } = commandIo({ env })
    expect(await runCheck(['--hub-heartbeat=1m'], io)).toBe(0)
    expect(err()).toStartWith('warning: --hub-heartbeat: ')
  })

  test('an unknown flag ends with 2 and the nearest name', async () => {
    const { io, err } = commandIo({ env })
    expect(await runCheck(['--history-max-ag', '1h'], io)).toBe(2)
    expect(err()).toContain('did you mean --history-max-age?')
  })
})

describe('cinnabar config', () => {
  test('prints every setting with its origin, secrets masked', async () => {
    const { io, out } = commandIo({ env })
    expect(await runConfig(['--history-max-age=2h'], io)).toBe(0)
    expect(out()).toContain('\nhistory.max_age = "2h"  # flag (--history-max-age)\n')
    expect(out()).toContain('\n# publisher.key = "***"  # environment (CINNABAR_ISSUERS[0].publisher.key)\n')
    expect(out()).not.toContain(secret)
  })

  test('a wrong configuration ends with 78', async () => {
    const { io, out } = commandIo({ env: { CINNABAR_NOPE: '1' } })
    expect(await runConfig([], io)).toBe(78)
    expect(out()).toBe('')
  })
})
