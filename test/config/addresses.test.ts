import { describe, expect, test } from 'bun:test'
import {
  fieldName,
  formatAddress,
  hubPath,
  isLoopback,
  isOriginPattern,
  jwksUri,
  listenAddress,
  loopbacks,
  network,
  publicUrl,
  redisUrl,
  resourceIdentifier,
} from '../../src/config/addresses.ts'
import { type Kind, WrongValue } from '../../src/config/values.ts'

describe('addresses to listen on', () => {
  test.each([
    ['127.0.0.1:3000', { kind: 'tcp', host: '127.0.0.1', port: 3000 }],
    ['localhost:0', { kind: 'tcp', host: 'localhost', port: 0 }],
    ['[::]:443', { kind: 'tcp', host: '::', port: 443 }],
    [':80', { kind: 'tcp', host: '0.0.0.0', port: 80 }],
    ['unix:/run/hub.sock', { kind: 'unix', path: '/run/hub.sock' }],
  ] as const)('%s is one', (written, address) => {
    expect(listenAddress.read(written)).toEqual(address)
    if (!written.startsWith(':')) expect(formatAddress(address)).toBe(written)
  })

  test.each([
    '3000',
    'host',
    'host:',
    'host:65536',
    'host:-1',
    '::1:80',
    '[x]:80',
    'a b:80',
    'unix:rel',
    '',
    80,
  ])('%p is none', (written) => {
    expect(() => listenAddress.read(written)).toThrow(WrongValue)
  })

  test.each([
    ['127.0.0.1:1', true],
    ['127.9.9.9:1', true],
    ['[::1]:1', true],
    ['localhost:1', true],
    ['unix:/s', true],
    ['0.0.0.0:1', false],
    ['[::]:1', false],
    ['127.evil.example:1', false],
    ['192.168.0.1:1', false],
  ])('%s is loopback: %p', (written, expected) => {
    expect(isLoopback(listenAddress.read(written))).toBe(expected)
  })
})

test('localhost stands for both loopback addresses', () => {
  const addresses = (written: string) => loopbacks(listenAddress.read(written)).map(formatAddress)
  expect(addresses('localhost:80')).toEqual(['127.0.0.1:80', '[::1]:80'])
  for (const one of ['127.0.0.1:80', 'unix:/s', '[::]:1']) expect(addresses(one)).toEqual([one])
})

describe('SUB-102 origin patterns', () => {
  test.each([
    '*',
    'null',
    'https://example.com',
    'https://example.com:8443',
    'https://*.example.com',
    'http://localhost:*',
    'http://127.0.0.1:*',
    'http://[::1]:3000',
    'capacitor://',
    'capacitor://localhost',
    'foobar://',
  ])('%s is one', (pattern) => {
    expect(isOriginPattern(pattern)).toBe(true)
  })

  test.each([
    '',
    'foo',
    'https://',
    '://x',
    'https://example.com/',
    'https://example.com/path',
    'https://user@example.com',
    'https://example.com:port',
    'https://example.com:',
    'https://example.com:99999',
    'https://example.com?q',
    'https://example.com#f',
    'https://*.*.example.com',
    'https://a.*.example.com',
    'https://ex*mple.com',
    ' https://example.com',
    'https://exa mple.com',
    'https://exa\tmple.com',
    'https://exa\nmple.com',
    'https://exa\\mple.com',
    'https://exa\u0000mple.com',
    'https://*.exa\\mple.com',
  ])('%p is none', (pattern) => {
    expect(isOriginPattern(pattern)).toBe(false)
  })
})

const kinds: readonly (readonly [title: string, kind: Kind<string>, good: string[], bad: unknown[]])[] = [
  [
    'GEN-10 the hub path',
    hubPath,
    ['/.well-known/mercure', '/hub', '/a/b-c.d_e~1', '/healthz/hub'],
    [
      '/',
      '',
      'hub',
      '/hub/',
      '/a?b',
      '/a#b',
      '/a b',
      '/a/:b',
      '/a/*',
      '/%61',
      '/a//b',
      '/healthz',
      '/readyz',
      5,
    ],
  ],
  [
    'GEN-15 a public URL',
    publicUrl,
    ['https://hub.example.com', 'http://localhost:3000'],
    [
      'https://hub.example.com/',
      'https://hub.example.com/x',
      'HTTPS://hub.example.com',
      'hub',
      'ftp://x',
      'https://u:p@x',
      5,
    ],
  ],
  [
    'SUB-99 the name of a field',
    fieldName,
    ['traceparent', 'X-Request-Id', "x!#$%&'+.^_`|~-1"],
    ['', '*', 'a b', 'a:', 'a,b', 'é', 'a\n', 5],
  ],
  [
    'AUT-40 a resource identifier',
    resourceIdentifier,
    ['https://hub.example.com/.well-known/mercure', 'urn:example:hub'],
    ['foo', '/relative', 'https://x/y#z', '', 'https:// x', 5],
  ],
  [
    'AUT-41 the address of a key set',
    jwksUri,
    [
      'https://id.example/jwks',
      'http://localhost/jwks',
      'file:///etc/jwks.json',
      'file://localhost/etc/jwks.json',
    ],
    ['file://server/jwks.json', 'ftp://x/y', 'jwks', '', 5],
  ],
  [
    'a network',
    network,
    ['10.0.0.0/8', '127.0.0.1', '::1', 'fd00::/8', 'unix'],
    ['10.0.0', 'unix:/s', '10.0.0.0/33', '300.1.1.1', 'host', '::/129', '10.0.0.0/8/8', 5],
  ],
  [
    'the URL of Redis',
    redisUrl,
    ['redis://localhost:6379', 'rediss://x'],
    ['localhost:6379', 'http://x', '', 5],
  ],
]

describe.each(kinds)('%s', (_, kind, good, bad) => {
  test('is read as it is written', () => {
    expect(good.map((written) => kind.read(written))).toEqual(good)
  })

  test.each(bad)('%p is refused', (written) => {
    expect(() => kind.read(written)).toThrow(WrongValue)
  })
})

test('a public URL with a path is answered with the origin to write', () => {
  expect(() => publicUrl.read('https://hub.example.com/x')).toThrow('write https://hub.example.com')
})
