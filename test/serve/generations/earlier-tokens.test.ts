import { expect, test } from 'bun:test'
import { earlierTokens } from '../../../src/serve/generations/earlier-tokens.ts'
import { Log } from '../../../src/telemetry/log.ts'
import { forge, tokenFor } from '../../support/tokens.ts'

test('tokens of 0.x are told of once a minute for each place, and never shown', async () => {
  let now = 0
  const lines: string[] = []
  const log = new Log({
    level: 'info',
    format: 'json',
    write: (line) => lines.push(line),
    clock: () => new Date(0),
  })
  const { isOne, onRefused } = earlierTokens(log, () => now)
  const old = forge({ alg: 'HS256', typ: 'JWT' }, { mercure: { subscribe: ['*'] } }, 'secret')
  expect([isOne(old), isOne(await tokenFor({ subscribe: ['a'] })), isOne('x'.repeat(50)), isOne('')]).toEqual(
    [true, false, false, false],
  )
  for (const at of [0, 1, 59_999]) {
    now = at
    onRefused('the parameter authorization')
  }
  expect(lines).toHaveLength(1)
  onRefused('the cookie mercureAuthorization')
  now = 60_000
  onRefused('the parameter authorization')
  expect(lines.map((line) => JSON.parse(line).place)).toEqual([
    'the parameter authorization',
    'the cookie mercureAuthorization',
    'the parameter authorization',
  ])
  for (const line of lines) expect(line).toMatch(/"warn".*0\.x token.*hub\.legacy/)
})
