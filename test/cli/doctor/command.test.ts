import { describe, expect, test } from 'bun:test'
import { runDoctor } from '../../../src/cli/doctor/command.ts'
import type { CommandIo } from '../../../src/command/command.ts'
import { commandIo } from '../../support/command-io.ts'

const now = Date.UTC(2030, 0, 1)

/** A token that nobody has signed: the command reads only its claims. */
function token(claims: Record<string, unknown>): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'HS256' })}.${part(claims)}.c2lnbmF0dXJl`
}

type Answer = (url: URL, init: BunFetchRequestInit) => Response

async function doctor(words: readonly string[], answer: Answer | null, parts: Partial<CommandIo> = {}) {
  const fetch: CommandIo['fetch'] = async (url, init = {}) => {
    if (answer === null) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    return answer(new URL(url), init)
  }
  const { io, out, err } = commandIo({ fetch, ...parts })
  const code = await runDoctor(['--json', ...words], io)
  const { findings = [] } = out() === '' ? {} : JSON.parse(out())
  const faults = findings.filter(({ state }: { state: string }) => state !== 'ok')
  return { code, faults, out: out(), err: err() }
}

/** A hub that sends to every reader what was published before it asked for more. */
function hub(fields: Readonly<Record<string, string>> = {}): Answer {
  let publish = (_data: string) => {}
  return (_, { method, body }) => {
    const headers = { 'Content-Type': 'text/event-stream', Date: new Date(now).toUTCString(), ...fields }
    if (method === 'POST') {
      publish(body instanceof URLSearchParams ? (body.get('data') ?? '') : '')
      return new Response('urn:id', { headers })
    }
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        publish = (data) => controller.enqueue(new TextEncoder().encode(`data: ${data}\n\n`))
      },
    })
    return new Response(stream, { headers })
  }
}

const good = token({ aud: 'https://hub.example/.well-known/mercure', exp: now / 1000 + 60 })

describe('cinnabar doctor URL', () => {
  test('finds nothing wrong with a hub that answers as it should', async () => {
    const { code, faults, out } = await doctor(['https://hub.example', '--token', good], hub())
    expect([code, faults]).toEqual([0, []])
    expect(out).not.toContain(good)
    expect(JSON.parse(out).ok).toBe(true)
  })

  test('finds nothing wrong where the body of the answer to a publication is cut off, and the update is there', async () => {
    const held = () => new ReadableStream({ pull: () => Promise.reject(new Error('cut off')) })
    const whole = hub()
    const { code, faults } = await doctor(['https://hub.example', '--token', good], (url, init) => {
      const answer = whole(url, init)
      return init.method === 'POST' ? new Response(held(), answer) : answer
    })
    expect([code, faults]).toEqual([0, []])
  })

  test('says nothing good of a certificate that it was told not to examine', async () => {
    const messageOf = async (...more: readonly string[]) => {
      const { out } = await doctor(['https://hub.example', '--token', good, ...more], hub())
      return JSON.parse(out).findings.find(({ check }: { check: string }) => check === 'tls').message
    }
    expect(await messageOf()).toBe('the connection is encrypted, with a certificate that is trusted')
    expect(await messageOf('--insecure')).toBe(
      'the connection is encrypted; its certificate was not examined',
    )
  })

  test('finds a hub that is down', async () => {
    const { code, faults } = await doctor(['https://hub.example', '--token', good], null)
    expect([code, faults]).toEqual([1, [expect.objectContaining({ state: 'bad', check: 'reach' })]])
  })

  test.each([
    [-3600, 'is 3600 s ahead of that of the hub'],
    [3600, 'is 3600 s behind that of the hub'],
  ])('finds a clock of the hub that is off by %d s', async (seconds, message) => {
    const fields = { Date: new Date(now + seconds * 1000).toUTCString() }
    const { code, faults } = await doctor(['https://hub.example', '--token', good], hub(fields))
    expect([code, faults[0]]).toEqual([1, expect.objectContaining({ check: 'clock' })])
    expect(faults[0].message).toContain(message)
  })

  test.each([
    [{ aud: 'https://other.example/hub' }, 'aud', 'is for https://other.example/hub'],
    [{ exp: now / 1000 - 90 }, 'token', 'it expired 90 s ago'],
    [{ nbf: now / 1000 + 90 }, 'token', 'it begins in 90 s'],
  ])('says why a token with %j is refused', async (claims, check, message) => {
    const refuse = () =>
      new Response('the token was not accepted', {
        status: 401,
        headers: { Date: new Date(now).toUTCString() },
      })
    const { code, faults } = await doctor(['https://hub.example', '--token', token(claims)], refuse)
    expect([code, faults[0].check]).toEqual([1, check])
    expect(faults[0].message).toContain(message)
  })

  test.each([
    [404, 'path'],
    [421, 'origin'],
    [403, 'token'],
    [502, 'reach'],
    [301, 'reach'],
  ])('an answer of %d is a fault of the %s', async (status, check) => {
    const { code, faults } = await doctor(
      ['https://hub.example', '--token', good],
      () => new Response('', { status }),
    )
    expect([code, faults.map((each: { check: string }) => each.check)]).toEqual([1, [check]])
  })

  test('a page for people at the URL is no hub', async () => {
    const page = () => new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } })
    const { faults } = await doctor(['https://hub.example', '--token', good], page)
    expect(faults).toEqual([expect.objectContaining({ check: 'path' })])
  })

  test('without a token it says that it has published nothing', async () => {
    const { code, faults } = await doctor(['https://hub.example'], hub())
    expect([code, faults]).toEqual([0, [expect.objectContaining({ state: 'warn', check: 'buffering' })]])
  })

  test('warns of tokens that are not encrypted on their way', async () => {
    const clear = token({ aud: 'http://hub.example/.well-known/mercure' })
    const { faults } = await doctor(['http://hub.example', '--token', clear], hub())
    expect(faults.map((each: { check: string }) => each.check)).toEqual(['tls', 'cookies'])
  })
})

test('a wrong URL ends with 2, and with it nothing was examined', async () => {
  const { io, out } = commandIo()
  expect(await runDoctor(['ftp://me:hunter2@hub.example'], io)).toBe(2)
  expect(out()).toBe('')
})

test('a clock before this program was made is a fault', async () => {
  const { io, out } = commandIo({ clock: () => Date.UTC(2020, 0, 1) })
  expect(await runDoctor(['--transport=memory', '--admin-listen=', '--listen=127.0.0.1:0'], io)).toBe(1)
  expect(out()).toMatch(
    /^bad {2}clock .*2020-01-01T00:00:00Z, and so no token is valid\n +cure: set the clock/m,
  )
})

test('a budget above the memory of the control group is a fault', async () => {
  const { io, out } = commandIo({ containerBytes: 2 ** 28 })
  const words = ['--transport=memory', '--history-max-bytes=8MiB', '--admin-listen=', '--listen=127.0.0.1:0']
  expect(await runDoctor([...words, '--limits-memory=1GiB'], io)).toBe(1)
  expect(out()).toMatch(/^bad {2}memory /m)
})
