import { expect, test } from 'bun:test'
import { load } from '../../../src/config/load.ts'
import { hubLocation } from '../../../src/protocol/topic.ts'
import { type LoadGeneration, openGenerations } from '../../../src/serve/generations/generation.ts'
import { secretOf } from '../../support/tokens.ts'

const location = hubLocation('https://hub.example.com/.well-known/mercure')

function settings(ids: readonly string[], ...argv: readonly string[]) {
  const issuers = ids.map((id) => ({ id, publisher: { key: secretOf(id), algorithm: 'HS256' } }))
  const given = ['--issuers', JSON.stringify(issuers), ...argv]
  const loaded = load({
    argv: given,
    env: {},
    readFile: () => '',
    isTerminal: false,
    devKeys: { publisher: '', subscriber: '' },
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.settings
}

/** What a generation is opened with. */
async function openedWith(...of: Parameters<typeof settings>): Promise<unknown[]> {
  const asked: unknown[] = []
  const loadOne: LoadGeneration = async (given) => {
    asked.push(given)
    return { profile: fail, dialect: fail, announce: () => null, document: () => null, exposedFields: [] }
  }
  await openGenerations(settings(...of), location, [loadOne])
  return asked
}

function fail(): never {
  throw new Error('not to be called')
}

test('LEG-01 no earlier generation is loaded unless it is asked for', async () => {
  expect(await openedWith(['a'])).toEqual([])
})

test.each<[ids: string[], flags: string[], implicitIssuer: string | null]>([
  [['a'], [], 'a'],
  [['a', 'b'], [], null],
  [['a', 'b'], ['--hub-legacy-issuer', 'b'], 'b'],
  [[], [], null],
])('LEG-14 of the issuers %p with %p the implicit one is %p', async (ids, flags, implicitIssuer) => {
  expect(await openedWith(ids, '--hub-legacy', '7', ...flags)).toEqual([{ version: '7', implicitIssuer }])
})

test('a build without it refuses to start with the setting, and starts without', async () => {
  expect(await openGenerations(settings(['a']), location, [])).toEqual([])
  await expect(openGenerations(settings(['a'], '--hub-legacy', '8'), location, [])).rejects.toThrow(
    'hub.legacy: the 0.x generation is not part of this build',
  )
})
