import { describe, expect, test } from 'bun:test'
import { errorResponse } from '../../src/http/error.ts'
import { OriginRefusal, RefusedOrigins, type RefusedOriginsSummary } from '../../src/http/origin-refusal.ts'

describe('the answer to a request for another origin', () => {
  test('H2 names the origin and the settings that decide', async () => {
    const response = errorResponse(new OriginRefusal('http://hub.example.com:8080'), {
      metadataUrl: null,
      requestId: null,
      isExplained: false,
    })
    expect([response.status, await response.text()]).toEqual([
      421,
      'the hub does not answer on http://hub.example.com:8080: see hub.public_urls, and proxy.trusted behind a proxy\n',
    ])
  })

  for (const [title, origin] of [
    ['is no origin', 'http://a b'],
    ['holds more than an origin', 'https://a.example/<script>'],
    ['has a line break', 'https://a.example\r\nX: y'],
    ['has an escape sequence', 'http://a\u001b[2J'],
    ['is very long', `http://${'a.'.repeat(120)}example`],
    ['has no host', 'https://'],
    ['is empty', ''],
  ] as const) {
    test(`H2 does not repeat what ${title}`, () => {
      expect(new OriginRefusal(origin).origin).toBe('this origin')
    })
  }
})

describe('what an operator is told of refused origins', () => {
  function arrange() {
    const told: RefusedOriginsSummary[] = []
    const timers: (() => void)[] = []
    const delays: number[] = []
    const loop = {
      now: () => 0,
      later: () => {},
      delay: (ms: number, run: () => void) => {
        delays.push(ms)
        timers.push(run)
        return () => {}
      },
    }
    const refused = new RefusedOrigins((summary) => told.push(summary), loop)
    const add = (host: string, peer = '192.0.2.1') => refused.add(new OriginRefusal(`http://${host}`), peer)
    return { told, add, delays, minute: () => timers.shift()?.() }
  }

  test('H2 the first is told at once, the rest once a minute, and the last of them too', () => {
    const { told, add, delays, minute } = arrange()
    add('a', '127.0.0.1')
    expect(told).toEqual([{ origins: 'http://a', requests: 1, peer: '127.0.0.1' }])
    for (let n = 0; n < 1000; n++) add(n % 2 === 0 ? 'b' : 'c')
    expect(told.length).toBe(1)
    minute()
    expect(told[1]).toEqual({ origins: 'http://b http://c', requests: 1000, peer: '192.0.2.1' })
    minute()
    expect([told.length, delays]).toEqual([2, [60_000, 60_000]])
    add('d')
    expect(told[2]).toEqual({ origins: 'http://d', requests: 1, peer: '192.0.2.1' })
  })

  test('H2 however many origins there are, a few are kept', () => {
    const { told, add, minute } = arrange()
    for (let n = 0; n < 100_000; n++) add(`host-${n}`)
    minute()
    expect(told.map(({ origins }) => origins.split(' ').length)).toEqual([1, 5])
    expect(told[1]?.requests).toBe(99_999)
  })
})
