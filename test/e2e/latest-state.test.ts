import { afterEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { metric, type RunningHub, startHub } from '../support/binary.ts'
import { catchUp } from '../support/catch-up.ts'
import { publish } from '../support/publisher.ts'
import { runCommand } from '../support/run-command.ts'

/** Rules that keep the latest state of each topic, as browsers meet them: they come back with the id of an old one. */

const cleanup: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

const sensor = 'https://example.com/sensors/1'

async function start(rule: object, flags: readonly string[] = [], directory?: string): Promise<RunningHub> {
  const rules = JSON.stringify([
    { match: 'https://example.com/sensors/:id', match_type: 'urlpattern', ...rule },
  ])
  const hub = await startHub({
    flags: ['--hub-anonymous', '--history-rules', rules, ...flags],
    ...(directory === undefined ? {} : { directory }),
  })
  cleanup.push(() => hub.dispose())
  return hub
}

/** What a reader that comes back with this id is told and gets. */
async function comeBack(
  hub: RunningHub,
  id: string,
): Promise<{ told: string | null; ids: readonly string[] }> {
  const reader = await catchUp(hub, id)
  reader.close()
  return { told: reader.headers.get('mercure-last-event-id'), ids: reader.ids }
}

for (const transport of ['sqlite', 'memory'] as const) {
  describe(`transport ${transport}`, () => {
    test('M9 REC-05 a reader that saw v1 and missed v2 gets v2, although the rule dropped v1', async () => {
      const hub = await start({ max_count: 1, per_topic: true }, ['--transport', transport])
      const v1 = await publish(hub.url, { topic: sensor, data: 'v1' })
      const between = await publish(hub.url, { topic: 'https://example.com/news', data: 'x' })
      const v2 = await publish(hub.url, { topic: sensor, data: 'v2' })
      expect(await comeBack(hub, v1)).toEqual({ told: v1, ids: [between, v2] })
      const v3 = await publish(hub.url, { topic: sensor, data: 'v3' })
      expect(await comeBack(hub, v1)).toEqual({ told: v1, ids: [between, v3] })
      expect(await comeBack(hub, v2)).toEqual({ told: v2, ids: [v3] })
      expect(await comeBack(hub, v3)).toEqual({ told: v3, ids: [] })
      expect(await metric(hub, 'cinnabar_history_places')).toBe(2)
    })

    test('M9 so does one whose last event the rule never kept, or dropped by its age or size', async () => {
      for (const rule of [{ max_count: 0 }, { max_age: '1ms' }, { max_bytes: '64B' }]) {
        const hub = await start(rule, ['--transport', transport])
        const seen = await publish(hub.url, { topic: sensor, data: 'seen' })
        const missed = await publish(hub.url, { topic: 'https://example.com/news', data: 'missed' })
        expect(await comeBack(hub, seen)).toEqual({ told: seen, ids: [missed] })
      }
    })

    test('M9 REC-07 once the past does not reach back to it, it is told earliest', async () => {
      const hub = await start({ max_count: 1 }, ['--transport', transport, '--history-max-count', '3'])
      const v1 = await publish(hub.url, { topic: sensor, data: 'v1' })
      await publish(hub.url, { topic: sensor, data: 'v2' })
      for (const data of ['1', '2', '3']) await publish(hub.url, { topic: 'https://example.com/news', data })
      expect(await comeBack(hub, v1)).toEqual({ told: 'earliest', ids: [] })
      expect(await metric(hub, 'cinnabar_history_places')).toBe(0)
    })
  })
}

test('M9 REC-18 the place of v1 outlives a kill and a restart', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'cinnabar-state-'))
  cleanup.push(() => rm(directory, { recursive: true, force: true }))
  const rule = { max_count: 1, per_topic: true }
  const hub = await start(rule, [], directory)
  const v1 = await publish(hub.url, { topic: sensor, data: 'v1' })
  const v2 = await publish(hub.url, { topic: sensor, data: 'v2' })
  await hub.stop('SIGKILL')
  expect(await comeBack(await start(rule, [], directory), v1)).toEqual({ told: v1, ids: [v2] })
})

test('M9 what a prune took out of the middle keeps its place too, for readers and for an export', async () => {
  const hub = await start({ max_count: 1, per_topic: true })
  const seen = await publish(hub.url, { topic: 'https://example.com/gone', data: 'x' })
  const missed = await publish(hub.url, { topic: 'https://example.com/news', data: 'x' })
  const pruned = await runCommand(['history', 'prune', '--topic', 'https://example.com/gone'], hub.directory)
  expect(pruned.code).toBe(0)
  expect(await comeBack(hub, seen)).toEqual({ told: seen, ids: [missed] })
  const { out } = await runCommand(['history', 'export', '--after', seen], hub.directory)
  expect(JSON.parse(out)).toMatchObject({ id: missed })
})
