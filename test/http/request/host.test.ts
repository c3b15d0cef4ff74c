import { describe, expect, test } from 'bun:test'
import { HostGate, hostField, ownHost, parseHost } from '../../../src/http/request/host.ts'

const listening = { url: new URL('http://127.0.0.1:3000/') }

describe('hosts', () => {
  for (const [text, host] of [
    ['a', 'a'],
    ['A.Example', 'a.example'],
    ['a.example.', 'a.example'],
    ['a.example.:80', 'a.example:80'],
    ['a.example:8080', 'a.example:8080'],
    ['a:', 'a:'],
    ['a_b.example', 'a_b.example'],
    ['192.0.2.1:1', '192.0.2.1:1'],
    ['[::1]', '[::1]'],
    ['[2001:DB8::1]:443', '[2001:db8::1]:443'],
  ] as const) {
    test(`${text} is the host ${host}`, () => expect(parseHost(text)).toBe(host))
  }

  for (const text of [
    ...[
      '',
      ' ',
      '.',
      'a..',
      'a..b',
      'a b',
      'a,b',
      'a/b',
      'a?b',
      'a#b',
      'a@b',
      'a\\b',
      'a"b',
      'a\tb',
      '\u00e9',
    ],
    ...['%zz', ':80', 'a:b', 'a:1:2', 'a:99999', '[::1', '::1', '[::1]x', '[a]', '1.2.3.4.5', 'a:999999'],
  ]) {
    test(`${JSON.stringify(text)} is none`, () => expect(parseHost(text)).toBeNull())
  }

  test('the listener stands in, by the name localhost where it has none', () => {
    expect([ownHost(listening), ownHost({ url: new URL('unix:///a.sock') }), ownHost(null)]).toEqual([
      '127.0.0.1:3000',
      'localhost',
      'localhost',
    ])
  })
})

/** A request as Bun hands it over: the URL may be anything. */
function request(url: string, host?: string): Request {
  const made = new Request('http://bun.invalid/', { headers: host === undefined ? {} : { host } })
  Object.defineProperty(made, 'url', { value: url, configurable: true })
  return made
}

describe('the gate', () => {
  for (const [title, url, host, complete] of [
    ['leaves a whole URL alone', 'http://a.example/x?y', 'a.example', 'http://a.example/x?y'],
    ['completes one without a host', '/x?y', undefined, 'http://127.0.0.1:3000/x?y'],
    ['completes one with an empty host', '/', '', 'http://127.0.0.1:3000/'],
    ['replaces a host that is none', 'http://[::1/x', '[::1', 'http://127.0.0.1:3000/x'],
    ['makes a path of what is none', '*', '', 'http://127.0.0.1:3000/*'],
    ['makes a path of an authority', 'x:443', '', 'http://127.0.0.1:3000/x:443'],
    ['keeps a second slash', '//x/y', '', 'http://127.0.0.1:3000//x/y'],
  ] as const) {
    test(title, () => {
      const asked = request(url, host)
      expect(new HostGate(false, () => listening).admits(asked)).toBe(true)
      expect(asked.url).toBe(complete)
    })
  }

  test('refuses two hosts, also when they are the same', () => {
    const gate = new HostGate(false, () => listening)
    expect(gate.admits(request('http://a/', 'a'))).toBe(true)
    expect(['a, b', 'a, a', 'a, ', ', a'].map((host) => gate.admits(request('http://a/', host)))).toEqual([
      false,
      false,
      false,
      false,
    ])
  })

  test('gives a short host of an https URL room, where Elysia would miss the path', () => {
    const gate = new HostGate(true, () => listening)
    for (const [host, url] of [
      ['h', 'https://127.0.0.1:3000/x'],
      ['hub', 'https://hub/x'],
    ] as const) {
      const asked = request(`https://${host}/x`, host)
      expect([gate.admits(asked), asked.url]).toEqual([true, url])
      expect(hostField(asked)).toBe(host)
    }
  })
})
