import { describe, expect, test } from 'bun:test'
import { runHealth } from '../../src/cli/health.ts'
import { runPublish } from '../../src/cli/publish.ts'
import { runSubscribe } from '../../src/cli/subscribe.ts'
import { runToken } from '../../src/cli/token.ts'
import type { CommandIo, Run } from '../../src/command/command.ts'
import { commandIo } from '../support/command-io.ts'

/** Tokens and certificates from files, for all commands that talk to a hub. */

const certificate = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n'
const files: Readonly<Record<string, string>> = {
  token: 'hunter2\n',
  'ca.pem': certificate,
  empty: '\n',
  odd: 'a b',
}

async function asked(run: Run, argv: readonly string[], parts: Partial<CommandIo> = {}) {
  const requests: BunFetchRequestInit[] = []
  const { io, out, err } = commandIo({
    fetch: async (_, init = {}) => {
      requests.push(init)
      return new Response('id', { status: run === runSubscribe ? 204 : 200 })
    },
    readFile: (path) => {
      const text = files[path]
      if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
      return text
    },
    ...parts,
  })
  const code = await run(argv, io)
  return { code, out: out(), err: err(), request: requests[0] }
}

const talkers: readonly (readonly [name: string, run: Run, argv: readonly string[]])[] = [
  ['publish', runPublish, ['t', '--data=']],
  ['subscribe', runSubscribe, []],
]

describe.each(talkers)('cinnabar %s', (_, run, argv) => {
  test('takes the token from a file, without its line break', async () => {
    const { code, request } = await asked(run, [...argv, '--token-file=token'])
    expect(code).toBe(0)
    expect(request?.headers).toMatchObject({ Authorization: 'Bearer hunter2' })
  })

  test.each([
    ['missing', 1, '--token-file cannot be read: ENOENT'],
    ['empty', 1, '--token-file holds no token'],
    ['odd', 2, 'the token holds characters that no token has'],
  ])('sends nothing with the token file %s', async (file, code, message) => {
    const end = await asked(run, [...argv, `--token-file=${file}`])
    expect<number>(end.code).toBe(code)
    expect(end.request).toBeUndefined()
    expect(end.err).toContain(message)
  })

  test('takes a token from one place alone, and repeats none', async () => {
    const end = await asked(run, [...argv, '--token=hunter3', '--token-file=token'])
    expect([end.code, end.request]).toEqual([2, undefined])
    expect(end.err).not.toMatch(/hunter/)
  })

  test('a token file goes before the environment', async () => {
    const { request } = await asked(run, [...argv, '--token-file=token'], { env: { CINNABAR_TOKEN: 'T' } })
    expect(request?.headers).toMatchObject({ Authorization: 'Bearer hunter2' })
  })
})

describe.each([...talkers, ['health', runHealth, ['--url=https://a.example']] as const])(
  'cinnabar %s',
  (_, run, argv) => {
    test.each([
      [[], undefined],
      [['--ca-file=ca.pem'], { ca: certificate }],
      [['--insecure'], { rejectUnauthorized: false }],
    ])('with %j trusts %j', async (options, tls) => {
      const { code, request } = await asked(run, [...argv, ...options])
      expect([code, request?.tls]).toEqual([0, tls])
    })

    test.each([
      [['--ca-file=missing'], 1, '--ca-file cannot be read: ENOENT'],
      [['--ca-file=token'], 1, '--ca-file holds no certificate in PEM'],
      [['--ca-file=ca.pem', '--insecure'], 2, 'are both given'],
    ])('with %j sends nothing', async (options, code, message) => {
      const end = await asked(run, [...argv, ...options])
      expect<number>(end.code).toBe(code)
      expect(end.request).toBeUndefined()
      expect(end.err).toContain(message)
    })
  },
)

test('token explain reads the token from a file, or from one other place', async () => {
  const explain = (...words: string[]) => asked(runToken, ['explain', '--aud=https://a.example', ...words])
  const { code, out } = await explain('--token-file=token')
  expect([code, out]).toEqual([1, expect.stringContaining('To publish: disabled')])
  expect((await explain('--token-file=missing')).err).toContain('ENOENT')
  for (const words of [[], ['a.b.c', '--token-file=token']]) expect((await explain(...words)).code).toBe(2)
})
