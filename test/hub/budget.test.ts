import { describe, expect, test } from 'bun:test'
import { Budget, type BudgetEvent } from '../../src/hub/budget.ts'
import { MemoryTransport } from '../../src/transport/memory/transport.ts'
import { ArraySink, HubFixture } from '../support/hub.ts'

const unbounded = { maxCount: null, maxAgeMs: null, maxBytes: null }

function openBudget(limitBytes: number) {
  const shed: string[] = []
  const events: BudgetEvent[] = []
  const budget = new Budget({
    limitBytes,
    dropCaches: () => shed.push('caches'),
    endReplays: () => shed.push('replays'),
    cutSlowest: () => shed.push('slowest'),
    observe: (event) => events.push(event),
  })
  return { budget, shed, events }
}

describe('the memory budget', () => {
  test('load is shed in the stated order, a step further at each look', () => {
    const { budget, shed } = openBudget(1000)
    const steps = [1, 2, 3, 4, 5].map(() => {
      shed.length = 0
      budget.look(950)
      return [...shed, ...(budget.isFull ? ['connections'] : [])]
    })
    expect(steps).toEqual([
      ['caches'],
      ['caches', 'replays'],
      ['caches', 'replays', 'slowest'],
      ['caches', 'replays', 'slowest', 'connections'],
      ['caches', 'replays', 'slowest', 'connections'],
    ])
  })

  test('after the pressure everything is as before, and an episode is told once', () => {
    const { budget, events } = openBudget(1000)
    for (const resident of [950, 960, 850, 990, 990, 850, 790, 700]) budget.look(resident)
    expect(budget.isFull).toBe(false)
    expect(events).toEqual([
      { kind: 'pressed', residentBytes: 950 },
      { kind: 'relieved', step: 4 },
    ])
  })

  test('without a limit nothing is ever shed', () => {
    const { budget, shed, events } = openBudget(0)
    budget.look(Number.MAX_SAFE_INTEGER)
    expect([shed, events, budget.step]).toEqual([[], [], 0])
  })

  test('a hub under pressure cuts those for whom most waits, refuses newcomers and still publishes', async () => {
    const transport = new MemoryTransport({ retention: unbounded, clock: () => 0 })
    const fixture = new HubFixture(transport, { memoryBytes: 1000 })
    await fixture.hub.open()
    const readers = await Promise.all(
      [10, 500, 0, 300].map(async (waitingBytes) => {
        const sink = new ArraySink()
        sink.waitingBytes = waitingBytes
        return (await fixture.subscribe([['exact', 'a']], { sink })).sink
      }),
    )
    for (let look = 0; look < 3; look++) fixture.hub.look(950)
    expect(readers.map(({ closedWith }) => closedWith?.kind ?? 'open')).toEqual([
      'open',
      'shed',
      'open',
      'open',
    ])
    fixture.hub.look(950)
    await expect(fixture.hub.locate(null)).rejects.toMatchObject({ code: 'overloaded' })
    const id = await fixture.publish({ topics: ['a'] })
    await fixture.settle()
    expect(readers[2]?.ids).toEqual([id])
    fixture.hub.look(700)
    expect((await fixture.hub.locate(null)).lastEventId).toBeNull()
  })

  test('replays in progress end before readers that keep up', async () => {
    const transport = new MemoryTransport({ retention: unbounded, clock: () => 0 })
    const fixture = new HubFixture(transport, { memoryBytes: 1000, pageEntries: 1 })
    await fixture.hub.open()
    for (let n = 0; n < 3; n++) await fixture.publish({ topics: ['a'] })
    const live = await fixture.subscribe([['exact', 'a']])
    const sink = new ArraySink()
    sink.stall()
    await fixture.subscribe([['exact', 'a']], { sink, lastEventId: 'earliest' })
    await fixture.settle()
    fixture.hub.look(950)
    fixture.hub.look(950)
    expect([sink.closedWith?.kind, live.sink.closedWith]).toEqual(['shed', null])
  })
})
