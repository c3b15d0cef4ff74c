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

  test('H4 what has room of its own neither pushes the others out nor is pushed out by them', async () => {
    const own = { ...ruleFor(['own'], { maxCount: 3 }), isApart: true }
    const log = await open({ ...unlimited, maxCount: 5, rules: [own] })
    for (let n = 0; n < 5; n++) await log.transport.append(envelope(`e${n}`, 10, 'a'))
    for (let n = 0; n < 50; n++) await log.transport.append(envelope(`own${n}`, 10, 'own'))
    expect(ids(await readAll(log.transport, headOf(log)))).toEqual([
      ...['e0', 'e1', 'e2', 'e3', 'e4'],
      ...['own47', 'own48', 'own49'],
    ])
    // What its rule dropped is unknown from then on, and nobody who asks for it takes part of the log for the whole.
    expect([await log.transport.find('own0'), await log.transport.find('e0')]).toEqual([
      null,
      expect.any(Number),
    ])
    for (let n = 5; n < 8; n++) await log.transport.append(envelope(`e${n}`, 10, 'a'))
    expect(ids(await readAll(log.transport, headOf(log)))).toEqual([
      ...['e3', 'e4', 'own47', 'own48', 'own49'],
      ...['e5', 'e6', 'e7'],
    ])
    expect(await log.transport.stats()).toMatchObject({ rows: 8, rules: [{ rows: 3 }] })
  })

  test('H4 the same by bytes, and together in a batch', async () => {
    const size = contract.sizeOf(envelope('e0', 1000, 'a'), false)
    const ownSize = contract.sizeOf(envelope('o0', 1000, 'own'), true)
    const own = { ...ruleFor(['own'], { maxBytes: 2 * ownSize }), isApart: true }
    const log = await open({ ...unlimited, maxBytes: 3 * size, rules: [own] })
    const sent = Array.from({ length: 20 }, (_, at) => [
      envelope(`e${at % 10}`, 1000, 'a'),
      envelope(`o${at % 10}`, 1000, 'own'),
    ]).flat()
    await Promise.all(sent.map((one) => log.transport.append(one)))
    expect(ids(await readAll(log.transport, headOf(log)))).toEqual(['e7', 'e8', 'o8', 'e9', 'o9'])
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

  test('M9 REC-05 the id of an update that its rule dropped keeps its place: what follows is read from there', async () => {
    const log = await open({ ...unlimited, rules: [ruleFor(['a'], { maxCount: 1 })] })
    for (const [id, topic] of [
      ['before', 'other'],
      ['old', 'a'],
      ['between', 'other'],
      ['new', 'a'],
    ] as const)
      await log.transport.append(envelope(id, 10, topic))
    const [before, old] = log.seen.map(({ position }) => position)
    expect(await log.transport.find('old')).toBe(old ?? START)
    expect(ids(await readAll(log.transport, headOf(log), before))).toEqual(['between', 'new'])
    expect(ids(await readAll(log.transport, headOf(log), old))).toEqual(['between', 'new'])
    expect(await log.transport.stats()).toMatchObject({ rows: 3, places: 1 })
  })

  test('M9 a reader of the latest states that missed one gets it, whoever else published meanwhile', async () => {
    const log = await open({
      ...unlimited,
      maxCount: 5,
      rules: [ruleFor(['a', 'b'], { maxCount: 1, perTopic: true })],
    })
    for (const [id, topic] of [
      ['a1', 'a'],
      ['b1', 'b'],
      ['a2', 'a'],
      ['a3', 'a'],
      ['b2', 'b'],
    ] as const)
      await log.transport.append(envelope(id, 10, topic))
    const missed = async (id: string) => {
      const place = await log.transport.find(id)
      return place === null ? null : ids(await readAll(log.transport, headOf(log), place))
    }
    expect(await missed('a1')).toEqual(['a3', 'b2'])
    expect(await missed('b1')).toEqual(['a3', 'b2'])
    expect(await missed('a3')).toEqual(['b2'])
    // Five others are the whole past: its front has passed the places.
    for (let index = 0; index < 5; index++) await log.transport.append(envelope(`${index}`, 10, 'other'))
    for (const id of ['a1', 'b1', 'a2', 'a3', 'b2']) expect(await missed(id)).toBeNull()
    expect(await log.transport.stats()).toMatchObject({ rows: 5, places: 0 })
  })

  test('M9 there are never more places than the whole past may have entries, and the newest stay', async () => {
    const rules = [ruleFor(['a'], { maxCount: 1, perTopic: true })]
    const log = await open({ ...unlimited, maxCount: 3, rules })
    for (let index = 0; index < 10; index++) await log.transport.append(envelope(`${index}`, 10, 'a'))
    expect(await log.transport.stats()).toMatchObject({ rows: 1, places: 3 })
    const known = await Promise.all(Array.from({ length: 10 }, (_, at) => log.transport.find(`${at}`)))
    expect(known.map((place) => place !== null)).toEqual([...Array(6).fill(false), ...Array(4).fill(true)])
  })

  test('M9 places take an eighth of the bytes of the whole past at most, and count in them', async () => {
    const rules = [ruleFor(['a'], { maxCount: 1 })]
    const maxBytes = 8 * 3 * contract.placeSizeOf('0')
    const log = await open({ ...unlimited, maxBytes, rules })
    for (let index = 0; index < 9; index++) await log.transport.append(envelope(`${index}`, 10, 'a'))
    const entry = contract.sizeOf(envelope('8', 10, 'a'), true)
    expect(await log.transport.stats()).toMatchObject({
      rows: 1,
      places: 3,
      bytes: entry + 3 * contract.placeSizeOf('0'),
      rules: [{ rows: 1, bytes: entry }],
    })
  })

  test('M9 REC-09 of an id that was used again the earliest place counts, so that nothing is missed', async () => {
    const log = await open({ ...unlimited, rules: [ruleFor(['a'], { maxCount: 1 })] })
    for (const [id, topic] of [
      ['state', 'a'],
      ['between', 'other'],
      ['state', 'a'],
    ] as const)
      await log.transport.append(envelope(id, 10, topic))
    const place = await log.transport.find('state')
    expect(ids(await readAll(log.transport, headOf(log), place ?? START))).toEqual(['between', 'state'])
  })

  test('M9 a place goes with the age of the whole past, also when no entry is left', async () => {
    let now = 0
    const rules = [ruleFor(['a'], { maxCount: 0 })]
    const log = await open({ ...unlimited, maxAgeMs: 100, rules }, () => now)
    await log.transport.append(envelope('live', 10, 'a'))
    now = 99
    expect(await log.transport.find('live')).toBe(headOf(log))
    now = 100
    expect(await log.transport.find('live')).toBeNull()
    await log.prune()
    expect(await log.transport.stats()).toMatchObject({ rows: 0, bytes: 0, places: 0 })
  })

  test.skipIf(!contract.durable)(
    'M9 REC-18 places outlive a restart, and limits that were lowered',
    async () => {
      const rules = [ruleFor(['a'], { maxCount: 1 })]
      let log = await open({ ...unlimited, rules })
      for (const id of ['1', '2', '3', '4']) await log.transport.append(envelope(id, 10, 'a'))
      log = await reopen(log, { retention: { ...unlimited, rules }, clock: () => 0 }, start)
      expect(await log.transport.find('1')).not.toBeNull()
      expect(await log.transport.stats()).toMatchObject({ rows: 1, places: 3 })
      log = await reopen(log, { retention: { ...unlimited, maxCount: 2 }, clock: () => 0 }, start)
      expect(await log.transport.find('1')).toBeNull()
      expect(await log.transport.find('2')).not.toBeNull()
    },
  )

  test('the age of a rule is over at its moment, in the middle of the log and for reads as well', async () => {
    let now = 0
    const rules = [ruleFor(['a'], { maxAgeMs: 100 })]
    const log = await open({ ...unlimited, maxAgeMs: 1000, rules }, () => now)
    for (const topic of ['other', 'a', 'other']) await log.transport.append(envelope(topic, 10, topic))
    now = 99
    expect(await log.transport.find('a')).not.toBeNull()
    now = 100
    const [first, second] = log.seen.map(({ position }) => position)
    // It is gone, and a reader that has it misses nothing.
    expect(await log.transport.find('a')).toBe(second ?? START)
    expect(ids(await readAll(log.transport, headOf(log), first))).toEqual(['other'])
    await log.prune()
    expect(await log.transport.find('a')).toBe(second ?? START)
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
