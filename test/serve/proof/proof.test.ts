import { describe, expect, test } from 'bun:test'
import { Proof } from '../../../src/serve/proof/proof.ts'
import { PATIENCE_MS } from '../../../src/serve/proof/question.ts'
import { Counters } from '../../../src/telemetry/counters.ts'
import { MemoryTransport } from '../../../src/transport/memory/transport.ts'
import { HubFixture } from '../../support/hub.ts'
import { loggedLines, ManualLoop } from '../../support/manual-loop.ts'

/** A log that is silent where the test says so. */
class SilentTransport extends MemoryTransport {
  isSilent = false
  isStuck = false

  constructor() {
    super({ retention: { maxCount: null, maxAgeMs: null, maxBytes: null }, clock: () => 0 })
  }

  override async check(): Promise<void> {
    if (this.isSilent) await new Promise<void>(() => {})
    await super.check()
  }

  override async append(...envelope: Parameters<MemoryTransport['append']>): Promise<void> {
    if (this.isStuck) await new Promise<void>(() => {})
    await super.append(...envelope)
  }
}

async function arrange() {
  const transport = new SilentTransport()
  const fixture = new HubFixture(transport)
  await fixture.hub.open()
  const loop = new ManualLoop()
  const { log, messages } = loggedLines()
  const counters = new Counters()
  const proof = new Proof(fixture.hub, counters, loop, log)
  return { transport, fixture, loop, messages, counters, proof }
}

describe('a hub works', () => {
  test('when its store answers and a turn of its dispatch writes, and readers and metrics see nothing of the proof', async () => {
    const { fixture, proof } = await arrange()
    const { sink } = await fixture.subscribe([['exact', '*']])
    const events = fixture.events.length
    const gauges = fixture.hub.gauges
    const working = proof.work()
    await fixture.settle()
    await working
    expect(proof.problem).toBeNull()
    expect([sink.events, fixture.events.length, fixture.hub.gauges]).toEqual([[], events, gauges])
    expect(fixture.hub.head.id).toBeNull()
  })

  test('not while its store is silent, which is logged once', async () => {
    const { transport, fixture, proof, loop, messages } = await arrange()
    transport.isSilent = true
    let isOver = false
    void proof.work().then(() => {
      isOver = true
    })
    const ready = proof.ready().catch(String)
    await fixture.settle()
    loop.pass(PATIENCE_MS)
    await fixture.settle()
    expect(await ready).toContain('the store does not answer')
    expect([isOver, messages().length]).toEqual([false, 1])
    expect(proof.problem).toContain('the store does not answer')
  })

  test('not while its dispatch has no turn, which is logged once', async () => {
    const { proof, loop, messages } = await arrange()
    let isOver = false
    void proof.work().then(() => {
      isOver = true
    })
    // The turns of this hub are those that the test gives it, and it gives none.
    await proof.ready()
    loop.pass(PATIENCE_MS)
    expect([isOver, messages()]).toEqual([false, ['the hub has no turn to write to its readers']])
    expect(proof.problem).toBe('the hub has no turn to write to its readers')
  })

  test('not when no publication has been settled since the proof before, though some are under way', async () => {
    const { transport, fixture, proof, counters } = await arrange()
    const prove = async () => {
      const proved = proof.work().then(() => 'works', String)
      await fixture.settle()
      return await proved
    }
    transport.isStuck = true
    void fixture.publish({ topics: ['a'] })
    expect(await prove()).toBe('works')
    expect(await prove()).toBe('Error: publications are not settled, though the store answers')
    counters.observe({ kind: 'published', ms: 1 })
    expect(await prove()).toBe('works')
  })

  test('while there is more to write than a turn can', async () => {
    const { fixture, proof } = await arrange()
    for (let n = 0; n < 5; n++) await fixture.subscribe([['exact', 'a']])
    await fixture.settle()
    const proved = proof.work()
    for (let n = 0; n < 200; n++) await fixture.publish({ topics: ['a'], data: 'x' })
    fixture.turn()
    await proved
    await fixture.settle()
  })
})
