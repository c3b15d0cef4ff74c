import { describe, expect, test } from 'bun:test'
import { runPublish } from '../../src/cli/publish.ts'
import { commandIo } from '../support/command-io.ts'

interface Sent {
  readonly url: string
  readonly init: BunFetchRequestInit
}

function hub(answer: () => Response) {
  const sent: Sent[] = []
  const fetch = async (url: string, init: BunFetchRequestInit = {}) => {
    sent.push({ url, init })
    return answer()
  }
  return { sent, fetch }
}

test('one update is sent as a form, and its id is printed', async () => {
  const { sent, fetch } = hub(() => new Response('urn:uuid:1'))
  const { io, out } = commandIo({ fetch })
  const argv = [
    'https://e.com/a',
    'b',
    '--data',
    'é\n',
    '--private',
    '--id=i',
    '--type=t',
    '--retry=2s',
    '--token=T',
  ]
  expect(await runPublish(argv, io)).toBe(0)
  expect(out()).toBe('urn:uuid:1\n')
  const [request] = sent
  expect(request?.url).toBe('http://127.0.0.1:3000/.well-known/mercure')
  expect(request?.init).toMatchObject({
    method: 'POST',
    redirect: 'manual',
    headers: { Authorization: 'Bearer T' },
  })
  expect(String(request?.init.body)).toBe(
    'topic=https%3A%2F%2Fe.com%2Fa&topic=b&data=%C3%A9%0A&private=on&id=i&type=t&retry=2000',
  )
})

test('a dash reads the data, and the environment may hold the token', async () => {
  const { sent, fetch } = hub(() => new Response('x'))
  const { io } = commandIo({ fetch, stdin: async () => 'from stdin\n', env: { CINNABAR_TOKEN: 'E' } })
  expect(await runPublish(['t', '--data', '-', '--hub', 'https://hub.example'], io)).toBe(0)
  expect(sent[0]?.url).toBe('https://hub.example/.well-known/mercure')
  expect(sent[0]?.init.headers).toEqual({ Authorization: 'Bearer E' })
  expect(String(sent[0]?.init.body)).toBe('topic=t&data=from+stdin%0A')
})

describe('M13 the data', () => {
  const publishing = async (argv: readonly string[], parts: Parameters<typeof commandIo>[0] = {}) => {
    const { sent, fetch } = hub(() => new Response('x'))
    const recorded = commandIo({
      fetch,
      isInputTerminal: () => false,
      stdin: async () => 'piped\n',
      ...parts,
    })
    expect(await runPublish(['t', ...argv], recorded.io)).toBe(0)
    return { body: String(sent[0]?.init.body), err: recorded.err() }
  }

  test('is what comes through a pipe when none is given', async () => {
    expect((await publishing([])).body).toBe('topic=t&data=piped%0A')
    expect((await publishing(['--data', '-'])).body).toBe('topic=t&data=piped%0A')
  })

  test('is what is given, whatever the standard input is', async () => {
    const stdin = () => Promise.reject(new Error('it must not be read'))
    expect((await publishing(['--data', 'a'], { stdin })).body).toBe('topic=t&data=a')
    expect((await publishing(['--data', ''], { stdin })).body).toBe('topic=t&data=')
  })

  test('is none on a terminal, which is read only when it is asked for', async () => {
    const isInputTerminal = () => true
    expect((await publishing([], { isInputTerminal })).body).toBe('topic=t')
    expect((await publishing(['--data=-'], { isInputTerminal })).body).toBe('topic=t&data=piped%0A')
  })

  test('is waited for, and that is said after a moment', async () => {
    const input = Promise.withResolvers<string>()
    const reminded = Promise.withResolvers<void>()
    const slow = publishing([], { stdin: () => input.promise, stderr: () => reminded.resolve() })
    await reminded.promise
    input.resolve('late')
    expect((await slow).body).toBe('topic=t&data=late')
  })
})

describe('fails', () => {
  const challenge = { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' }

  test.each([
    [
      new Response('', { status: 403, headers: challenge }),
      '403 insufficient_scope: the token does not grant this',
    ],
    [new Response('', { status: 401 }), 'cinnabar token explain'],
    [new Response('', { status: 302, headers: { Location: 'http://x/' } }), 'redirects to http://x/'],
    [new Response('', { status: 201 }), '201'],
  ])('with 1 and a reason', async (response, message) => {
    const { io, out, err } = commandIo({ fetch: async () => response })
    expect(await runPublish(['t'], io)).toBe(1)
    expect(err()).toContain(message)
    expect(out()).toBe('')
  })

  const plain = (status: number, text: string) =>
    new Response(text, { status, headers: { 'Content-Type': 'text/plain; charset=utf-8' } })

  test.each([
    ['says why', plain(400, 'a topic is not allowed\n'), 'the hub answers 400: a topic is not allowed\n'],
    [
      'asks for a token',
      plain(401, 'a token is required\n'),
      'the hub answers 401: a token is required; give one with --token, --token-file or CINNABAR_TOKEN;',
    ],
    ['answers elsewhere', plain(404, 'not found'), '404: not found; give the URL of the hub with --hub\n'],
    ['is of another name', plain(421, 'wrong origin'), '421: wrong origin; give --hub with an origin'],
    ['fails', plain(500, 'the update could not be stored'), '500: the update could not be stored\n'],
    ['says too much', plain(400, `${'x'.repeat(1000)}\n`), `400: ${'x'.repeat(200)}…\n`],
    ['is hostile', plain(400, '\x1b[2J\x9b\nmore'), '400: \\u001b[2J\\u009b\n'],
    ['says nothing', plain(400, '\n \n'), '400: the request is not valid\n'],
    [
      'is a proxy with a page',
      new Response('<html>', { status: 502, headers: { 'Content-Type': 'text/html' } }),
      'the hub answers 502\n',
    ],
  ])('with the reason of a hub that %s', async (_, response, message) => {
    const { io, err } = commandIo({ fetch: async () => response })
    expect(await runPublish(['t'], io)).toBe(1)
    expect(err()).toContain(message)
    expect(err()).not.toContain('more')
    expect(err().trimEnd().split('\n')).toHaveLength(1)
  })

  test('with a hint to explain the token that was given', async () => {
    const { io, err } = commandIo({ fetch: async () => plain(401, 'the token was not accepted') })
    expect(await runPublish(['t', '--token', 'hunter2'], io)).toBe(1)
    expect(err()).toContain('the token was not accepted; cinnabar token explain TOKEN says what is wrong')
    expect(err()).not.toContain('hunter2')
  })

  test('with what came of a reason that never ends', async () => {
    const body = new ReadableStream({
      start: (stream) => stream.enqueue(new TextEncoder().encode('the reason')),
    })
    const response = new Response(body, { status: 400, headers: { 'Content-Type': 'text/plain' } })
    const { io, err } = commandIo({ fetch: async () => response })
    expect(await runPublish(['t'], io)).toBe(1)
    expect(err()).toContain('400: the reason\n')
  })

  test('with 1 when nothing answers', async () => {
    const { io, err } = commandIo()
    expect(await runPublish(['t', '--token=hunter2'], io)).toBe(1)
    expect(err()).toContain('http://127.0.0.1:3000 does not answer')
    expect(err()).not.toContain('hunter2')
  })

  test.each([
    [[]],
    [['t', '--retry=soon']],
    [['t', '--hub=ftp://x']],
    [['t', '--hub=x']],
    [['t', '--token=a\nb']],
    [['t', '--topic=x']],
  ])('with 2 for %j', async (argv) => {
    const { sent, fetch } = hub(() => new Response('x'))
    const { io, err } = commandIo({ fetch })
    expect(await runPublish(argv, io)).toBe(2)
    expect(err()).toContain('Try: cinnabar publish --help')
    expect(sent).toEqual([])
  })
})
