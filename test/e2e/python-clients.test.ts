import { describe, expect, test } from 'bun:test'
import { type Reader, Scene, type SeenUpdate } from '../support/scene.ts'
import { forge, secretOf, tokenFor } from '../support/tokens.ts'

/** Python with requests, as Debian has it, in both generations; with the package sseclient where it is installed. */

const python = '/usr/bin/python3'
const program = new URL('../support/requests-reader.py', import.meta.url).pathname
const topic = 'https://example.com/accounts/1'
const selector = 'https://example.com/accounts/{id}'

const hasPackage = Bun.spawnSync([python, '-c', 'import sseclient']).exitCode === 0

const generations = [
  {
    name: '0.x',
    flags: ['--hub-legacy', '8', '--hub-legacy-issuer', 'https://a.example'],
    token: async () =>
      forge(
        { alg: 'HS256', typ: 'JWT' },
        { mercure: { subscribe: [selector] } },
        secretOf('issuer-a/subscriber'),
      ),
    query: `topic=${encodeURIComponent(selector)}&lastEventID=earliest`,
  },
  {
    name: '1.0',
    flags: [],
    token: () => tokenFor({ subscribe: [topic] }),
    query: `match=${encodeURIComponent(topic)}&last_event_id=earliest`,
  },
]

/** A reader that is a process; its lines are events. */
function openReader(url: string, token: string, ...more: readonly string[]): Reader {
  const received: SeenUpdate[] = []
  const child = Bun.spawn([python, program, url, token, ...more], { stdio: ['ignore', 'pipe', 'inherit'] })
  const read = async () => {
    const decoder = new TextDecoder()
    let partial = ''
    for await (const chunk of child.stdout) {
      const lines = (partial + decoder.decode(chunk, { stream: true })).split('\n')
      partial = lines.pop() ?? ''
      for (const line of lines) {
        const [, id, data] = /^event (\S+) (.*)$/.exec(line) ?? []
        if (id !== undefined) received.push({ id, data: (data ?? '').replaceAll('|', '\n') })
      }
    }
  }
  const reading = read()
  return {
    received: async () => received,
    latest: async () => received.at(-1) ?? null,
    opened: async () => 1,
    close: async () => {
      child.kill()
      await reading
    },
  }
}

async function survive(scene: Scene, reader: Reader): Promise<void> {
  scene.start()
  await scene.goesOn(reader)
  scene.proxy.cut()
  await scene.goesOn(reader)
  await scene.restart('SIGTERM')
  await scene.goesOn(reader)
  await scene.settle(reader)
  expect(await scene.known(reader)).toEqual(scene.acknowledged)
}

describe('a reader in Python that loses its connection has neither gap nor repeat', () => {
  for (const { name, flags, token, query } of generations) {
    const run = async (...more: readonly string[]) => {
      const scene = await Scene.open(topic, [...flags, '--hub-retry', '100ms', '--shutdown-drain', '200ms'])
      const reader = openReader(`${scene.proxy.origin}/.well-known/mercure?${query}`, await token(), ...more)
      try {
        await survive(scene, reader)
      } finally {
        await reader.close()
        await scene.dispose()
      }
    }
    test(`LEG-25 requests, ${name}`, () => run())
    // Debian has no package of it, and tests load nothing from elsewhere.
    test.skipIf(!hasPackage)(`LEG-25 sseclient, ${name}: only where python3 has the package`, () =>
      run('sseclient'),
    )
  }
})
