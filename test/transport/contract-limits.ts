import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Entry, type Position, START } from '../../src/hub/transport.ts'
import { type Limits, placeLimits, type Retention, type Rule, ruleOf } from '../../src/transport/retention.ts'
import {
  type Contract,
  envelope,
  headOf,
  type Open,
  type OpenLog,
  readAll,
  reopen,
  ruleFor,
  type Start,
  wholeLog,
} from './contract.ts'

/** That exactly what the limits and rules say is kept, at every moment. */
export function limitsContract(contract: Contract, open: Open, start: Start): void {
  test('the limits hold exactly after every append, whatever the rules, sizes and clock', async () => {
    const clockStep = contract.skip?.includes('clock') ? fc.constant(0) : fc.integer({ min: -300, max: 300 })
    const update = fc.record({
      id: fc.constantFrom('a', 'b', 'c', 'd'),
      topic: fc.constantFrom(...topics),
      bytes: sizes,
    })
    const step = fc.record({
      together: fc.oneof(
        fc.array(update, { minLength: 1, maxLength: 1 }),
        fc.array(update, { maxLength: 5 }),
      ),
      clockStep,
      isRestart: fc.nat(9).map((one) => contract.durable && one === 0),
    })
    await fc.assert(
      fc.asyncProperty(retentions, fc.array(step, { maxLength: 20 }), async (retention, steps) => {
        let now = 1_000_000
        const clock = () => now
        let log = await open(retention, clock)
        const oracle = new Oracle(retention, contract, now)
        for (const { together, clockStep, isRestart } of steps) {
          if (isRestart) {
            log = await reopen(log, { retention, clock }, start)
            oracle.restart(now)
          }
          now += clockStep
          const before = log.seen.length
          const sent = together.map(({ id, bytes, topic }) => envelope(id, bytes, topic))
          await Promise.all(sent.map((one) => log.transport.append(one)))
          oracle.pass(clockStep)
          for (const entry of log.seen.slice(before)) oracle.append(entry)
          await compare(oracle, log, retention.rules)
        }
        await log.transport.close()
      }),
      { numRuns: 40 },
    )
  }, 60_000)
}

const topics = ['t1', 't2', 't3'] as const

const sizes = fc.oneof(fc.nat(300), fc.nat(20_000))

const limits = {
  maxCount: fc.option(fc.nat(8), { nil: null }),
  maxAgeMs: fc.option(fc.integer({ min: 1, max: 1500 }), { nil: null }),
  maxBytes: fc.option(fc.nat(40_000), { nil: null }),
}

const rule = fc
  .record({ ...limits, maxCount: fc.option(fc.nat(3), { nil: null }), perTopic: fc.boolean() })
  .chain((given) => fc.subarray([...topics]).map((selected) => ruleFor(selected, given)))

const retentions = fc.record({ ...limits, rules: fc.array(rule, { maxLength: 3 }) })

/**
 * What must be kept, said as simply as possible. Time only goes forwards; after a restart it is that of the clock,
 * or of the newest entry ever when that is later.
 */
class Oracle {
  kept: readonly KeptEntry[] = []
  /** Of entries that rules dropped, in log order. */
  places: readonly Remembered[] = []
  /** For whose places there is no room, which the log notices when it is next written to. */
  #unsettled: readonly Remembered[] = []
  horizon: Position = START
  #now: number
  #newestAt = 0
  readonly #retention: Retention
  readonly #contract: Contract

  constructor(retention: Retention, contract: Contract, now: number) {
    this.#retention = retention
    this.#contract = contract
    this.#now = now
  }

  restart(now: number): void {
    this.#now = Math.max(this.#newestAt, now)
    this.#expire()
    this.#unsettled = []
  }

  pass(clockStep: number): void {
    this.#now += Math.max(0, clockStep)
    this.#unsettled = []
    this.#expire()
  }

  append(added: Entry): void {
    const { rules = [] } = this.#retention
    const rule = rules[ruleOf(added.topics, rules) ?? -1] ?? null
    const bytes = this.#contract.sizeOf(added, rule !== null)
    const topic = added.topics[0] ?? ''
    this.#newestAt = this.#now
    this.#unsettled = []
    this.kept = [...this.kept, { ...added, at: this.#now, bytes, topic, rule }]
    const group = () => this.of(rule).filter((one) => rule?.perTopic === false || one.topic === topic)
    while (rule !== null && isOver(group(), rule)) this.#dropByRule(group().slice(0, 1))
    while (isOver(this.kept, this.#retention, sumOf(this.places))) this.#forget()
  }

  /** Where a reader with this id goes on. */
  find(id: string): Position | null {
    return earliest(id, [...this.kept, ...this.places])
  }

  /** The same before the log was written to. */
  findAtOnce(id: string): Position | null {
    return earliest(id, [...this.kept, ...this.places, ...this.#unsettled])
  }

  /** What is kept and remembered takes so many bytes. */
  get bytes(): number {
    return sumOf(this.kept) + sumOf(this.places)
  }

  of(rule: Rule | null): readonly KeptEntry[] {
    return this.kept.filter((one) => one.rule === rule)
  }

  /** Of two ages the shorter one ends an entry. */
  #expire(): void {
    const age = ({ at }: KeptEntry) => this.#now - at
    const ageMax = this.#retention.maxAgeMs ?? Infinity
    const ruleAgeMax = ({ rule }: KeptEntry) => rule?.maxAgeMs ?? Infinity
    const doomed = this.kept.filter((one) => ruleAgeMax(one) < ageMax && age(one) >= ruleAgeMax(one))
    for (const rule of this.#retention.rules ?? [])
      this.#dropByRule(doomed.filter((one) => one.rule === rule))
    while (this.kept.slice(0, 1).some((one) => age(one) >= ageMax)) this.#forget()
    this.places = this.places.filter(({ at }) => this.#now - at < ageMax)
  }

  /** The oldest goes, be it an entry or a place. */
  #forget(): void {
    const [oldest] = this.kept
    const [place] = this.places
    if (place !== undefined && place.position < (oldest?.position ?? Number.POSITIVE_INFINITY)) {
      this.places = this.places.slice(1)
    } else {
      this.horizon = oldest?.position ?? START
      this.#drop(this.kept.slice(0, 1))
    }
  }

  #dropByRule(entries: readonly KeptEntry[]): void {
    this.#drop(entries)
    for (const { id, position, at } of entries) {
      const place = { id, position, at, bytes: this.#contract.placeSizeOf(id) }
      this.places = [...this.places, place].toSorted(inLogOrder)
      while (isOver(this.places, placeLimits(this.#retention))) {
        this.#unsettled = [...this.#unsettled, ...this.places.slice(0, 1)]
        this.places = this.places.slice(1)
      }
    }
  }

  #drop(entries: readonly KeptEntry[]): void {
    this.kept = this.kept.filter((one) => !entries.includes(one))
  }
}

interface Remembered {
  readonly id: string
  readonly position: Position
  readonly at: number
  readonly bytes: number
}

interface KeptEntry extends Remembered {
  readonly topic: string
  readonly rule: Rule | null
}

function isOver(entries: readonly Remembered[], { maxCount, maxBytes }: Limits, moreBytes = 0): boolean {
  return entries.length > (maxCount ?? Infinity) || sumOf(entries) + moreBytes > (maxBytes ?? Infinity)
}

function earliest(id: string, entries: readonly Remembered[]): Position | null {
  return (
    entries
      .filter((one) => one.id === id)
      .toSorted(inLogOrder)
      .at(0)?.position ?? null
  )
}

function inLogOrder(one: Remembered, other: Remembered): number {
  return one.position - other.position
}

function sumOf(entries: readonly Remembered[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0)
}

async function compare(oracle: Oracle, { transport, seen, prune }: OpenLog, rules: readonly Rule[] = []) {
  const head = headOf({ seen })
  const kept = oracle.kept.map(({ position }) => position)
  expect((await readAll(transport, head)).map(({ position }) => position)).toEqual(kept)
  for (const id of ['a', 'b', 'c', 'd', 'never']) {
    expect([oracle.find(id), oracle.findAtOnce(id)]).toContain(await transport.find(id))
  }
  for (const { position } of seen.slice(-10)) {
    const isLost = (await transport.read(position, head, wholeLog)) === 'lost'
    expect(isLost).toBe(position < oracle.horizon)
  }
  await prune()
  for (const id of ['a', 'b', 'c', 'd', 'never']) expect(await transport.find(id)).toBe(oracle.find(id))
  const dropped = seen.length - kept.length
  const stats = await transport.stats()
  expect(stats).toMatchObject({ rows: kept.length, dropped, bytes: oracle.bytes })
  expect(stats.places ?? 0).toBe(oracle.places.length)
  const ruled = rules.map((rule) => ({ rows: oracle.of(rule).length, bytes: sumOf(oracle.of(rule)) }))
  expect(stats.rules ?? []).toEqual(ruled)
}
