import { describe, expect, test } from 'bun:test'
import { expandBeforeParsing, expandPlaceholders } from '../../../src/cli/caddyfile/environment.ts'
import { boltUrl, durationOf, sizeOf } from '../../../src/cli/caddyfile/values.ts'

describe('values of a Caddyfile', () => {
  test('durations of Go become one number and its unit', () => {
    const known = ['40s', '1m30s', '0.5s', '600s', '1h', '90m', '1d', '250ms', '0s', '0', '2h45m']
    expect(known.map(durationOf)).toEqual([
      '40s',
      '90s',
      '500ms',
      '10m',
      '1h',
      '90m',
      '24h',
      '250ms',
      '0',
      '0',
      '165m',
    ])
    const wrong = ['', '40', 's', '-1s', '1m 30s', '1y', '0.3ns', 'forever']
    expect(['1.1h', '16.1s', '1.1d'].map(durationOf)).toEqual(['66m', '16100ms', '1584m'])
    expect(wrong.map(durationOf)).toEqual(wrong.map(() => null))
  })

  test('sizes are bytes: KB are a thousand each, KiB 1024', () => {
    expect(['4.1MB', '8.2MB', '1.1GB'].map(sizeOf)).toEqual(['4100000', '8200000', '1100000000'])
    expect(['512KB', '1MiB', '1 MB', '1.5k', '0', '100'].map(sizeOf)).toEqual([
      ...['512000', '1048576', '1000000', '1500', '0', '100'],
    ])
    expect(['', 'MB', '1XB', '-1KB', '1.0001'].map(sizeOf)).toEqual([null, null, null, null, null])
  })

  test('a Bolt URL has a path and options', () => {
    expect(
      Object.fromEntries(boltUrl('bolt:///var/run/mercure.db?size=100&cleanup_frequency=0.4') ?? []),
    ).toEqual({
      path: '/var/run/mercure.db',
      size: '100',
      cleanup_frequency: '0.4',
    })
    expect(boltUrl('bolt://mercure.db')?.get('path')).toBe('mercure.db')
    expect(boltUrl('redis://localhost')).toBeNull()
  })

  test('variables are put in, or their defaults, and those without either are named; an empty one is there', () => {
    const env = { NAME: 'value', EMPTY: '' }
    expect(expandBeforeParsing('{$NAME} {$OTHER:default} {$EMPTY:d} {$NONE} {$D:}', env)).toEqual({
      text: 'value default   ',
      missing: ['NONE'],
    })
    expect(expandPlaceholders('x{env.NAME}y{env.NONE}', env)).toEqual({ text: 'xvaluey', missing: ['NONE'] })
    expect(expandPlaceholders('{$NAME} {env.1} {http.x}', env).text).toBe('{$NAME} {env.1} {http.x}')
  })
})
