import { describe, expect, test } from 'bun:test'
import { runHealth } from '../../src/cli/health.ts'
import { commandIo } from '../support/command-io.ts'

async function asked(argv: readonly string[], status = 200) {
  const requests: { url: string; unix: string | undefined; tls: unknown }[] = []
  const { io, out, err } = commandIo({
    fetch: async (url, init = {}) => {
      requests.push({ url, unix: init.unix, tls: init.tls })
      return new Response('', { status })
    },
  })
  const code = await runHealth(argv, io)
  return { code, out: out(), err: err(), request: requests[0] }
}

describe('cinnabar health asks /readyz', () => {
  test.each([
    [[], 'http://127.0.0.1:3001/readyz'],
    [['--admin-listen=0.0.0.0:9'], 'http://127.0.0.1:9/readyz'],
    [['--admin-listen=[::]:9'], 'http://[::1]:9/readyz'],
    [['--admin-listen=', '--listen=:80'], 'http://127.0.0.1:80/readyz'],
    [['--admin-listen=', '--tls-cert-file=c', '--tls-key-file=k'], 'https://127.0.0.1:3000/readyz'],
    [['--url=http://hub.example:8080'], 'http://hub.example:8080/readyz'],
    [['--url=http://hub.example/other'], 'http://hub.example/other'],
  ])('with %j at %s', async (argv, url) => {
    expect(await asked(argv)).toMatchObject({ code: 0, out: 'ready\n', request: { url } })
  })

  test('through a Unix socket', async () => {
    const { request } = await asked(['--admin-listen=unix:/run/admin.sock'])
    expect(request).toEqual({ url: 'http://localhost/readyz', unix: '/run/admin.sock', tls: undefined })
  })
})

test.each([503, 404, 302, 204])('an answer of %p ends with 1', async (status) => {
  const answer = await asked([], status)
  expect(answer.code).toBe(1)
  expect(answer.err).toContain(String(status))
})

test('no answer ends with 1, a wrong URL with 2, a wrong configuration with 78', async () => {
  const { io } = commandIo()
  expect(await runHealth([], io)).toBe(1)
  expect(await runHealth(['--url=x'], io)).toBe(2)
  expect(await runHealth(['--listen=x'], io)).toBe(78)
})
