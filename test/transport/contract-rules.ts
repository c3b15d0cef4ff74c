import { expect, test } from 'bun:test'
import { START } from '../../src/hub/transport.ts'
import type { Envelope } from '../../src/protocol/update.ts'
import type { Rule } from '../../src/transport/retention.ts'
import {
  type Contract,
  envelope,
  headOf,
  ids,
  type Open,
  readAll,
  reopen,
  ruleFor,
  type Start,
  unlimited,
  wholeLog,
} from './contract.ts'

/** What rules mean, example by example. */
export function rulesContract(contract: Contract, open: Open, start: Start): void {
  const sum = (entries: readonly Envelope[]) =>
    entries.reduce((bytes, entry) => bytes + contract.sizeOf(entry, true), 0)

  test('max_count = 1 per topic keeps the latest state of each topic', async () => {
    const state = ruleFor(['a', 'b'], { maxCount: 1, perTopic: true })
    const log = await open({ ...unlimited, rules: [state] })
    const sent = ['a', 'b', 'other', 'a', 'other', 'a'].map((topic, index) => envelope(`${index}`, 10, topic))
    for (const one of sent) await log.transport.append(one)
    expect(ids(await readAll(log.transport, headOf(log)))).toEqual(['1', '2', '4', '5'])
    const kept = sent.filter(({ id }) => id === '1' || id === '5')
    expect(await log.transport.stats()).toMatchObject({ rows: 4, rules: [{ rows: 2, bytes: sum(kept) }] })
  })

  test('the first rule that selects the canonical topic applies, and no other', async () => {
    const rules = [ruleFor(['a'], { maxCount: 2 }), ruleFor(['a', 'b'], { maxCount: 1 })]
    const log = await open({ ...unlimited, rules })
    const alternate = { ...envelope('alternate', 10, 'other'), topics: ['other', 'a'] }
    for (const id of ['1', '2', '3']) await log.transport.append(envelope(id, 10, 'a'))
    for (const id of ['4', '5']) await log.transport.append(envelope(id, 10, 'b'))
    await log.transport.append(alternate)
    expect(ids(await readAll(log.transport, headOf(log)))).toEqual(['2', '3', '5', 'alternate'])
  })

  test('a batch of appends keeps what the same appends one by one keep', async () => {
    const size = contract.sizeOf(envelope('0', 4000, 'a'), true)
    const rules = [ruleFor(['a'], { maxBytes: size })]
    const maxBytes = size + contract.sizeOf(envelope('x', 100, 'other'), false) - 1
    const log = await open({ ...unlimited, maxBytes, rules })
    const other = envelope('x', 100, 'other')
    const state = [envelope('0', 4000, 'a'), envelope('1', 10, 'a')]
    await Promise.all([other, ...state].map((one) => log.transport.append(one)))
    // The large one needed the room of the other, although it is gone itself.
    expect(ids(await readAll(log.transport, headOf(log)))).toEqual(['1'])
  })

  test('REC-07 the id of an update that its rule dropped is not found, and nothing else is lost by it', async () => {
    const log = await open({ ...unlimited, rules: [ruleFor(['a'], { maxCount: 1 })] })
    for (const [id, topic] of [
      ['before', 'other'],
      ['old', 'a'],
      ['between', 'other'],
      ['new', 'a'],
    ] as const)
      await log.transport.append(envelope(id, 10, topic))
    const [before, old] = log.seen.map(({ position }) => position)
    expect(await log.transport.find('old')).toBeNull()
    expect(ids(await readAll(log.transport, headOf(log), before))).toEqual(['between', 'new'])
    expect(ids(await readAll(log.transport, headOf(log), old))).toEqual(['between', 'new'])
  })

  test('the age of a rule is over at its moment, in the middle of the log and for reads as well', async () => {
    let now = 0
    const rules = [ruleFor(['a'], { maxAgeMs: 100 })]
    const log = await open({ ...unlimited, maxAgeMs: 1000, rules }, () => now)
    for (const topic of ['other', 'a', 'other']) await log.transport.append(envelope(topic, 10, topic))
    now = 99
    expect(await log.transport.find('a')).not.toBeNull()
    now = 100
    expect(await log.transport.find('a')).toBeNull()
    const [first] = log.seen.map(({ position }) => position)
    expect(ids(await readAll(log.transport, headOf(log), first))).toEqual(['other'])
    await log.prune()
    expect(await log.transport.stats()).toMatchObject({ rows: 2, rules: [{ rows: 0, bytes: 0 }] })
  })

  test('REC-16 what a rule ended by age is not lost when the whole past is too old as well', async () => {
    let now = 0
    const rules = [ruleFor(['a'], { maxAgeMs: 100 })]
    const log = await open({ ...unlimited, maxAgeMs: 1000, rules }, () => now)
    for (const topic of ['other', 'a']) await log.transport.append(envelope(topic, 10, topic))
    now = 1
    await log.transport.append(envelope('later', 10, 'other'))
    now = 1000
    const [first, second] = log.seen.map(({ position }) => position)
    expect(ids(await readAll(log.transport, headOf(log), first))).toEqual(['later'])
    await log.prune()
    expect(ids(await readAll(log.transport, headOf(log), first))).toEqual(['later'])
    now = 1001
    expect(await log.transport.read(second ?? START, headOf(log), wholeLog)).toBe('lost')
  })

  test('a rule drops its newest entry too, when that alone is over its limits', async () => {
    const log = await open({ ...unlimited, rules: [ruleFor(['a'], { maxCount: 0 })] })
    for (const topic of ['other', 'a']) await log.transport.append(envelope(topic, 10, topic))
    expect(ids(log.seen)).toEqual(['other', 'a'])
    expect(ids(await readAll(log.transport, headOf(log)))).toEqual(['other'])
    if (!contract.durable) return
    const again = await reopen(log, { retention: unlimited, clock: () => 0 }, start)
    expect(ids(await readAll(again.transport, again.head.position))).toEqual(['other'])
    expect(again.head).toEqual({ position: headOf(log), id: 'a' })
  })

  test.skipIf(!contract.durable)('rules that were changed hold when the log is open again', async () => {
    let log = await open({ ...unlimited, rules: [ruleFor(['a', 'b'], { maxCount: 6 })] })
    for (const topic of ['a', 'b', 'c', 'a', 'b', 'c', 'a']) {
      await log.transport.append(envelope(`${topic}${log.seen.length}`, 10, topic))
    }
    const opened = async (rules: readonly Rule[]) => {
      log = await reopen(log, { retention: { ...unlimited, rules }, clock: () => 0 }, start)
      return ids(await readAll(log.transport, headOf(log)))
    }
    expect(await opened([])).toEqual(['a0', 'b1', 'c2', 'a3', 'b4', 'c5', 'a6'])
    expect(await opened([ruleFor(['c'], { maxCount: 1 })])).toEqual(['a0', 'b1', 'a3', 'b4', 'c5', 'a6'])
    const perTopic = ruleFor(['a', 'b'], { maxCount: 2, perTopic: true })
    expect(await opened([perTopic])).toEqual(['b1', 'a3', 'b4', 'c5', 'a6'])
    expect(await opened([{ ...perTopic, maxCount: 1 }])).toEqual(['b4', 'c5', 'a6'])
    await log.transport.append(envelope('b7', 10, 'b'))
    expect(ids(await readAll(log.transport, headOf(log)))).toEqual(['c5', 'a6', 'b7'])
    expect(await log.transport.stats()).toMatchObject({ rows: 3, rules: [{ rows: 2 }] })
  })
}
