import { describe, expect, test } from 'bun:test'
import { runSubscribe } from '../../src/cli/subscribe.ts'
import { commandIo } from '../support/command-io.ts'

const stream = (text: string) =>
  new Response(text, { headers: { 'Content-Type': 'text/event-stream; charset=utf-8' } })

const failed = (status: number, headers: Record<string, string> = {}) => new Response('', { status, headers })

/** A hub that answers each connection with the next response; `null` is a refused connection. */
function hub(...answers: readonly (Response | null)[]) {
  const urls: string[] = []
  const fetch = async (url: string) => {
    const answer = answers[urls.length]
    urls.push(url.replace('http://127.0.0.1:3000/.well-known/mercure', ''))
    if (answer === undefined) throw new Error('one connection too many')
    if (answer === null) throw new Error('refused')
    return answer
  }
  return { urls, fetch }
}

test('matchers become parameters, and without any everything is printed', async () => {
  const { urls, fetch } = hub(failed(204), failed(204))
  const { io } = commandIo({ fetch })
  expect(await runSubscribe(['a b', '*', '--urlpattern', '/:x', '--last-event-id', 'é'], io)).toBe(0)
  expect(await runSubscribe([], io)).toBe(0)
  expect(urls).toEqual(['?match=a+b&match=*&match_urlpattern=%2F%3Ax&last_event_id=%C3%A9', '?match=*'])
})

test('events are printed as they are on the wire', async () => {
  const { fetch } = hub(stream('id: 1\nevent: t\ndata: a\ndata: b\n\nid: 2\ndata: c\u2028d\n\n'), failed(204))
  const { io, out } = commandIo({ fetch })
  expect(await runSubscribe(['x'], io)).toBe(0)
  expect(out()).toBe('id: 1\nevent: t\ndata: a\ndata: b\n\nid: 2\ndata: c\u2028d\n\n')
})

test('with --json an event is one object on a line', async () => {
  const { fetch } = hub(stream('id: 1\ndata: a\ndata: b\n\n'), failed(204))
  const { io, out } = commandIo({ fetch })
  expect(await runSubscribe(['x', '--json'], io)).toBe(0)
  expect(out()).toBe('{"id":"1","type":"message","data":"a\\nb"}\n')
})

describe('S16 control characters in events', () => {
  const event = 'id: 1\x9b\nevent: \x1b[2J\ndata: \x1b]0;t\x07\u202e\tx\n\n'

  test('are shown on a terminal and not sent', async () => {
    const { fetch } = hub(stream(event), failed(204))
    const { io, out } = commandIo({ fetch, isTerminal: true })
    expect(await runSubscribe(['x'], io)).toBe(0)
    expect(out()).toBe('id: 1\\u009b\nevent: \\u001b[2J\ndata: \\u001b]0;t\\u0007\\u202e\tx\n\n')
  })

  test('go through a pipe as they are', async () => {
    const { fetch } = hub(stream(event), failed(204))
    const { io, out } = commandIo({ fetch })
    expect(await runSubscribe(['x'], io)).toBe(0)
    expect(out()).toBe(event)
  })

  test.each([true, false])('are escaped with --json, on a terminal: %p', async (isTerminal) => {
    const { fetch } = hub(stream(event), failed(204))
    const { io, out } = commandIo({ fetch, isTerminal })
    expect(await runSubscribe(['x', '--json'], io)).toBe(0)
    expect(JSON.parse(out())).toEqual({ id: '1\x9b', type: '\x1b[2J', data: '\x1b]0;t\x07\u202e\tx' })
    expect(out()).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)
  })
})

test('the limit ends it', async () => {
  const { urls, fetch } = hub(stream('id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n'))
  const { io, out } = commandIo({ fetch })
  expect(await runSubscribe(['x', '--limit', '2'], io)).toBe(0)
  expect(out()).toBe('id: 1\ndata: a\n\nid: 2\ndata: b\n\n')
  expect(urls).toHaveLength(1)
})

test('it reconnects with the last id, after the time that the hub asked for', async () => {
  const { urls, fetch } = hub(
    stream('retry: 50\nid: 1\ndata: a\n\n'),
    stream('id: 2\ndata: b\n\n'),
    failed(204),
  )
  const { io, slept, err } = commandIo({ fetch })
  expect(await runSubscribe(['x'], io)).toBe(0)
  expect(urls).toEqual(['?match=x', '?match=x&last_event_id=1', '?match=x&last_event_id=2'])
  expect(slept).toEqual([50, 50])
  expect(err()).toBe('')
})

test('it tries again when nothing answers, ever more slowly, and when the hub is overloaded', async () => {
  const busy = failed(503, { 'Retry-After': '60' })
  const { fetch } = hub(null, null, null, busy, failed(429), stream(''), failed(204))
  const { io, slept, err } = commandIo({ fetch })
  expect(await runSubscribe(['x'], io)).toBe(0)
  expect(slept).toEqual([1000, 2000, 4000, 60_000, 16_000, 1000])
  expect(err()).toContain('does not answer: refused; trying again in 1000 ms')
})

const answered = (lastEventId: string, text = '') => {
  const headers = { 'Content-Type': 'text/event-stream', 'Mercure-Last-Event-ID': lastEventId }
  return new Response(text, { headers })
}

const connected = 'cinnabar subscribe: connected to http://127.0.0.1:3000/.well-known/mercure\n'

describe('it says', () => {
  test.each([
    ['on a terminal', [], true],
    ['with --verbose', ['--verbose'], false],
  ])('that it is connected %s, and again after a failure', async (_, argv, isErrorTerminal) => {
    const { fetch } = hub(stream(''), stream('id: 1\ndata: a\n\n'), null, stream(''), failed(204))
    const { io, out, err } = commandIo({ fetch, isErrorTerminal })
    expect(await runSubscribe(['x', ...argv], io)).toBe(0)
    expect(err()).toBe(
      `${connected}cinnabar subscribe: http://127.0.0.1:3000 does not answer: refused; trying again in 1000 ms\n${connected}`,
    )
    expect(out()).toBe('id: 1\ndata: a\n\n')
  })

  test('nothing of it in a script', async () => {
    const { fetch } = hub(answered('1', 'id: 2\ndata: a\n\n'), answered('2'), failed(204))
    const { io, err } = commandIo({ fetch })
    expect(await runSubscribe(['x', '--last-event-id', '1'], io)).toBe(0)
    expect(err()).toBe('')
  })

  test('that its id is unknown, at the start and when it comes back', async () => {
    const { fetch } = hub(answered('earliest', 'id: 2\ndata: a\n\n'), answered('earliest'), failed(204))
    const { io, err } = commandIo({ fetch })
    expect(await runSubscribe(['x', '--last-event-id', '1'], io)).toBe(0)
    const unknown = (id: string) =>
      `cinnabar subscribe: the hub does not know the event "${id}": updates may be missing\n`
    expect(err()).toBe(unknown('1') + unknown('2'))
  })

  test('nothing when it asked for the earliest', async () => {
    const { fetch } = hub(answered('earliest'), answered('earliest'), failed(204))
    const { io, err } = commandIo({ fetch })
    expect(await runSubscribe(['x', '--last-event-id', 'earliest'], io)).toBe(0)
    expect(err()).toBe('')
  })

  test('why it is refused for now', async () => {
    const headers = { 'Content-Type': 'text/plain', 'Retry-After': '2' }
    const { fetch } = hub(new Response('too many subscribers\n', { status: 429, headers }), failed(204))
    const { io, err } = commandIo({ fetch })
    expect(await runSubscribe(['x'], io)).toBe(0)
    expect(err()).toBe(
      'cinnabar subscribe: the hub answers 429: too many subscribers; trying again in 2000 ms\n',
    )
  })
})

test('it says that a stream which breaks off is lost, and goes on from the last id', async () => {
  const broken = new ReadableStream({
    async pull(controller) {
      controller.enqueue(new TextEncoder().encode('id: 1\ndata: a\n\n'))
      await Promise.resolve()
      controller.error(Object.assign(new Error('in the words of the runtime'), { code: 'ECONNRESET' }))
    },
  })
  const headers = { 'Content-Type': 'text/event-stream' }
  const { urls, fetch } = hub(new Response(broken, { headers }), stream(''), failed(204))
  const { io, err } = commandIo({ fetch, isErrorTerminal: true })
  expect(await runSubscribe(['x'], io)).toBe(0)
  expect(err()).toBe(
    `${connected}cinnabar subscribe: http://127.0.0.1:3000 is lost: the connection was closed; trying again in 1000 ms\n${connected}`,
  )
  expect(urls).toHaveLength(3)
})

describe('it stops with 1', () => {
  test.each([
    ['a valid token is needed', failed(401)],
    ['not valid', failed(400)],
    ['no hub', failed(404)],
    ['redirects to http://elsewhere/', failed(302, { Location: 'http://elsewhere/' })],
    ['no event stream', new Response('<html>', { headers: { 'Content-Type': 'text/html' } })],
  ])('and says: %s', async (message, response) => {
    const { urls, fetch } = hub(response)
    const { io, err } = commandIo({ fetch })
    expect(await runSubscribe(['x'], io)).toBe(1)
    expect(err()).toContain(message)
    expect(urls).toHaveLength(1)
  })
})

test.each([[['--limit=0']], [['--limit=x']], [['--hub=nowhere']], [['--last-event']]])(
  '%j ends with 2',
  async (argv) => {
    const { io } = commandIo()
    expect(await runSubscribe(argv, io)).toBe(2)
  },
)

test('an interruption ends an open stream with 0', async () => {
  using server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: () =>
      new Response(new ReadableStream({ start: (c) => c.enqueue('id: 1\ndata: a\n\n') }), {
        headers: { 'Content-Type': 'text/event-stream' },
      }),
  })
  const interruption = new AbortController()
  const recorded = commandIo({
    fetch: (url, init) => fetch(url, init),
    interrupted: interruption.signal,
    stdout: () => interruption.abort(),
  })
  expect(await runSubscribe(['x', '--hub', server.url.href], recorded.io)).toBe(0)
  expect(recorded.err()).toBe('')
})
