import { describe, expect, test } from 'bun:test'
import { Proxies } from '../../../src/http/request/proxy.ts'

const request = (headers: Record<string, string>) => new Request('http://hub.test/', { headers })
const direct = { scheme: 'http', host: 'hub.test' }

describe('the address of the client', () => {
  const proxies = new Proxies(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', 'unix'])

  for (const [title, peer, headers, address] of [
    [
      'is the peer when nobody is trusted',
      '203.0.113.5',
      { 'x-forwarded-for': '198.51.100.1' },
      '203.0.113.5',
    ],
    ['is what a trusted proxy says', '10.1.2.3', { 'x-forwarded-for': '198.51.100.1' }, '198.51.100.1'],
    [
      'is the nearest that is not trusted',
      '10.1.2.3',
      { 'x-forwarded-for': '1.1.1.1, 198.51.100.1, 10.9.9.9' },
      '198.51.100.1',
    ],
    [
      'is the farthest when all are trusted',
      '10.1.2.3',
      { 'x-forwarded-for': '10.0.0.1, 10.0.0.2' },
      '10.0.0.1',
    ],
    ['is the proxy itself when it says nothing', '10.1.2.3', {}, '10.1.2.3'],
    [
      'is the proxy itself when it says nothing that is an address',
      '10.1.2.3',
      { 'x-forwarded-for': 'unknown, _x' },
      '10.1.2.3',
    ],
    ['is read from Forwarded', '192.0.2.1', { forwarded: 'for=198.51.100.7;proto=https' }, '198.51.100.7'],
    [
      'S5 is the proxy itself when the fields contradict each other',
      '192.0.2.1',
      { forwarded: 'for=198.51.100.7;proto=https', 'x-forwarded-for': '1.1.1.1' },
      '192.0.2.1',
    ],
    [
      'S5 is what both fields say',
      '192.0.2.1',
      { forwarded: 'for="[2001:DB9::7]:1"', 'x-forwarded-for': '9.9.9.9, 2001:db9::7' },
      '2001:db9::7',
    ],
    [
      'S5 is what the one says when the other has no address',
      '192.0.2.1',
      { forwarded: 'proto=https;host=x', 'x-forwarded-for': '198.51.100.7' },
      '198.51.100.7',
    ],
    [
      'S5 is no hearsay: nothing left of what cannot be read is believed',
      '10.1.2.3',
      { 'x-forwarded-for': '1.1.1.1, unknown' },
      '10.1.2.3',
    ],
    [
      'S5 is the last proxy before what cannot be read',
      '10.1.2.3',
      { forwarded: 'for=1.1.1.1, for=_hidden, for=10.9.9.9' },
      '10.9.9.9',
    ],
    [
      'S5 is no hearsay when an element names nobody',
      '10.1.2.3',
      { forwarded: 'for=1.1.1.1, proto=https' },
      '10.1.2.3',
    ],
    [
      'S5 is not hidden by a quote that the client has left open',
      '10.1.2.3',
      { forwarded: 'for="1.1.1.1, for=198.51.100.7' },
      '10.1.2.3',
    ],
    [
      'S5 is read past commas and escapes in quotes',
      '10.1.2.3',
      { forwarded: 'for=1.1.1.1;by="a,b;for=2.2.2.2\\"", for="198.51.100.7"' },
      '198.51.100.7',
    ],
    [
      'S5 is one for all behind a unix socket whose fields contradict each other',
      null,
      { forwarded: 'for=198.51.100.7', 'x-forwarded-for': '1.1.1.1' },
      'unix',
    ],
    [
      'is read from quotes, brackets and ports',
      '192.0.2.1',
      { forwarded: 'For="[2001:db9::7]:4711"' },
      '2001:db9::7',
    ],
    ['is read without its port', '192.0.2.1', { 'x-forwarded-for': '198.51.100.7:4711' }, '198.51.100.7'],
    [
      'is believed from a mapped address',
      '::ffff:10.1.2.3',
      { 'x-forwarded-for': '198.51.100.1' },
      '198.51.100.1',
    ],
    ['is believed over IPv6', '2001:db8::9', { 'x-forwarded-for': '198.51.100.1' }, '198.51.100.1'],
    ['is believed from a unix socket', null, { 'x-forwarded-for': '198.51.100.1' }, '198.51.100.1'],
    ['is none on a unix socket that says nothing', null, {}, null],
  ] as const) {
    test(title, () => {
      expect(proxies.clientAddress(request({ ...headers }), peer)).toBe(address)
    })
  }
})

describe('the origin of the hub', () => {
  const proxies = new Proxies(['10.0.0.0/8'])

  for (const [title, peer, headers, origin] of [
    [
      'is the connection itself when nobody is trusted',
      '203.0.113.5',
      { 'x-forwarded-proto': 'https', forwarded: 'host=evil.example' },
      'http://hub.test',
    ],
    [
      'is what a trusted proxy says',
      '10.0.0.1',
      { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'A.example:443' },
      'https://a.example',
    ],
    [
      'is what the last proxy wrote',
      '10.0.0.1',
      { 'x-forwarded-proto': 'http, https', 'x-forwarded-host': 'evil.example, a.example' },
      'https://a.example',
    ],
    [
      'is read from Forwarded',
      '10.0.0.1',
      { forwarded: 'proto=http;host=evil.example, Proto=https;Host="a.example:8443"' },
      'https://a.example:8443',
    ],
    [
      'S5 is what the connection says where the fields contradict each other',
      '10.0.0.1',
      { forwarded: 'for=1.1.1.1;proto=https;host=a.example', 'x-forwarded-for': '2.2.2.2' },
      'http://hub.test',
    ],
    [
      'S5 is what the connection says of what the fields contradict each other in',
      '10.0.0.1',
      { forwarded: 'proto=https;host=a.example', 'x-forwarded-host': 'b.example' },
      'https://hub.test',
    ],
    [
      'S5 is not read from Forwarded where the proxy writes X-Forwarded-For',
      '10.0.0.1',
      { forwarded: 'proto=https;host=evil.example', 'x-forwarded-for': '2.2.2.2' },
      'http://hub.test',
    ],
    [
      'S5 is put together where a proxy writes its address in the one and the scheme in the other',
      '10.0.0.1',
      { forwarded: 'for=2.2.2.2', 'x-forwarded-proto': 'https' },
      'https://hub.test',
    ],
    [
      'S5 is what the first trusted proxy got, by lists',
      '10.0.0.1',
      {
        'x-forwarded-for': '2.2.2.2, 10.0.0.2',
        'x-forwarded-proto': 'https, http',
        'x-forwarded-host': 'a.example, internal',
      },
      'https://a.example',
    ],
    [
      'S5 is not what the client wrote into the lists before',
      '10.0.0.1',
      {
        'x-forwarded-for': '2.2.2.2, 10.0.0.2',
        'x-forwarded-proto': 'evil, https, http',
        'x-forwarded-host': 'evil.example, a.example, internal',
      },
      'https://a.example',
    ],
    [
      'S5 is a list of one where the proxies replace it',
      '10.0.0.1',
      { 'x-forwarded-for': '2.2.2.2, 10.0.0.2', 'x-forwarded-proto': 'https' },
      'https://hub.test',
    ],
    [
      'S5 is what the first trusted proxy got, by Forwarded whose last element is silent',
      '10.0.0.1',
      { forwarded: 'for=2.2.2.2;proto=https;host=a.example, for=10.0.0.2' },
      'https://a.example',
    ],
    [
      'S5 is what the next proxy got where the first is silent',
      '10.0.0.1',
      { forwarded: 'for=2.2.2.2, for=10.0.0.2;proto=https' },
      'https://hub.test',
    ],
    [
      'S5 is not what stands left of the chain',
      '10.0.0.1',
      { forwarded: 'proto=https;host=evil.example, for=2.2.2.2' },
      'http://hub.test',
    ],
    [
      'loses the dot that ends its name',
      '10.0.0.1',
      { 'x-forwarded-host': 'A.example.:80' },
      'http://a.example',
    ],
    ['keeps what the proxy does not say', '10.0.0.1', { 'x-forwarded-proto': 'https' }, 'https://hub.test'],
  ] as const) {
    test(`GEN-15 ${title}`, () => {
      expect(proxies.origin(request({ ...headers }), peer, direct)).toBe(origin)
    })
  }
})

describe('the setting that names the fields', () => {
  const both = {
    forwarded: 'for=1.1.1.1;proto=https',
    'x-forwarded-for': '2.2.2.2',
    'x-forwarded-host': 'b.example',
  }
  for (const [fields, address, origin] of [
    ['forwarded', '1.1.1.1', 'https://hub.test'],
    ['x-forwarded', '2.2.2.2', 'http://b.example'],
    ['auto', '10.0.0.1', 'http://hub.test'],
  ] as const) {
    test(`S5 ${fields} decides which are looked at`, () => {
      const proxies = new Proxies(['10.0.0.0/8'], fields)
      expect(proxies.clientAddress(request(both), '10.0.0.1')).toBe(address)
      expect(proxies.origin(request(both), '10.0.0.1', direct)).toBe(origin)
    })
  }
})

describe('trust', () => {
  test('nobody is trusted unless listed, and a unix socket only by name', () => {
    const nobody = new Proxies([])
    expect([nobody.isUsed, nobody.isTrusted('127.0.0.1'), nobody.isTrusted(null)]).toEqual([
      false,
      false,
      false,
    ])
    const network = new Proxies(['10.0.0.0/31'])
    const trusted = ['10.0.0.0', '10.0.0.1', '10.0.0.2', '::ffff:10.0.0.1', 'no address'].map((peer) =>
      network.isTrusted(peer),
    )
    expect(trusted).toEqual([true, true, false, true, false])
    expect(network.isTrusted(null)).toBe(false)
  })

  for (const entry of [
    '',
    'localhost',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '::1/129',
    '10.0.0.0/8/8',
    '10.0.0',
  ]) {
    test(`${JSON.stringify(entry)} is refused by name`, () => {
      expect(() => new Proxies([entry])).toThrow(`not an address or network: ${entry}`)
    })
  }
})
