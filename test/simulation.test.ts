import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Subscriber } from '../src/hub/subscriber.ts'
import { ArraySink, HubFixture, identity } from './support/hub.ts'
import { SharedLog, SharedLogNode } from './support/shared-log.ts'

/**
 * Random publishers and readers on two nodes of one log, each with its own lag; readers stall, are cut, come
 * back to another node with their cursor, nodes restart or die, tails lose their place, the log forgets its newest
 * entries, and it is replaced. Whatever happens, what one reader has received over all its connections is what was
 * published from its first cursor on, in order, once, or it is told. One seed reproduces a run: fast-check prints it.
 */
interface Reader {
  readonly topics: readonly string[]
  readonly grants: readonly string[]
  node: number
  sink: ArraySink
  subscriber: Subscriber
  received: string[]
  /** Where its first connection started. */
  from: number
  isLost: boolean
}

const topics = ['a', 'b', 'c'] as const

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      node: fc.nat({ max: 1 }),
      topics: fc.uniqueArray(fc.constantFrom(...topics), { minLength: 1 }),
      isPrivate: fc.boolean(),
      burst: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('advance' as const),
      node: fc.nat({ max: 1 }),
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('connect' as const),
      node: fc.nat({ max: 1 }),
      topics: fc.uniqueArray(fc.constantFrom('*', ...topics), { minLength: 1 }),
      grants: fc.uniqueArray(fc.constantFrom(...topics)),
      isEarliest: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('reconnect' as const),
      reader: fc.nat(),
      node: fc.nat({ max: 1 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('stall' as const), reader: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('resume' as const), reader: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('turn' as const), node: fc.nat({ max: 1 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), node: fc.nat({ max: 1 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('skip' as const),
      node: fc.nat({ max: 1 }),
      count: fc.nat({ max: 6 }),
    }),
  },
)

/** Rare: after it, whoever has received something is told of the loss, and there is little left to compare. */
const replacement = { weight: 1, arbitrary: fc.record({ kind: fc.constant('replace' as const) }) }

/** The server that holds the log goes on without its newest entries, and a node dies. */
const failure = fc.oneof(
  fc.record({ kind: fc.constant('forget' as const), count: fc.nat({ max: 4 }) }),
  fc.record({ kind: fc.constant('die' as const), node: fc.nat({ max: 1 }) }),
)
type KindOf<From> = From extends fc.Arbitrary<infer Kind> ? Kind : never
type Action = KindOf<typeof action> | KindOf<typeof failure> | { readonly kind: 'replace' }

class Simulation {
  readonly log: SharedLog
  readonly #nodes: SharedLogNode[] = []
  readonly #fixtures: HubFixture[] = []
  readonly readers: Reader[] = []
  #published = 0

  constructor(kept: number) {
    this.log = new SharedLog(kept)
  }

  async start(node: number): Promise<void> {
    const transport = new SharedLogNode(this.log)
    const fixture = new HubFixture(transport, { pageEntries: 3 })
    await fixture.hub.open()
    this.#nodes[node] = transport
    this.#fixtures[node] = fixture
  }

  async run(step: Action): Promise<void> {
    switch (step.kind) {
      case 'publish':
        for (let n = 0; n < step.burst; n++) {
          const data = { id: `e${++this.#published}`, topics: step.topics, private: step.isPrivate }
          // One that is under way when the log is replaced fails.
          void this.#fixture(step.node)
            .publish(data)
            .catch(() => {})
        }
        break
      case 'advance':
        this.#node(step.node).advance(step.count)
        break
      case 'connect':
        await this.#connect(step.node, step.topics, step.grants, step.isEarliest)
        break
      case 'reconnect':
        await this.#withReader(step.reader, (reader) => this.#reconnect(reader, step.node))
        break
      case 'stall':
        await this.#withReader(step.reader, async ({ sink }) => sink.stall())
        break
      case 'resume':
        await this.#withReader(step.reader, async ({ sink }) => sink.resume())
        break
      case 'turn':
        this.#fixture(step.node).turn()
        break
      case 'skip':
        this.#node(step.node).skip(step.count)
        break
      case 'replace':
        this.log.replace()
        break
      case 'restart':
        await this.#restart(step.node)
        break
      case 'forget':
        this.log.forget(step.count)
        break
      case 'die':
        await this.#die(step.node)
        break
      default:
        step satisfies never
    }
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** Everybody reads on, the tails catch up, and whoever was cut comes back until nothing is left. */
  async finish(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      for (const reader of this.readers) reader.sink.resume()
      for (const [at, node] of this.#nodes.entries()) {
        node.advance(node.lag)
        await this.#fixture(at).settle()
      }
      for (const reader of this.readers) {
        if (reader.sink.closedWith !== null) await this.#reconnect(reader, reader.node)
      }
    }
    for (const reader of this.readers) this.#collect(reader)
  }

  /** What the reader had to receive, by the rules and not by the code. */
  expected(reader: Reader): string[] {
    return this.log.all
      .filter(({ position }) => position > reader.from)
      .filter((entry) =>
        entry.topics.some((topic) => reader.topics.includes('*') || reader.topics.includes(topic)),
      )
      .filter((entry) => !entry.private || entry.topics.some((topic) => reader.grants.includes(topic)))
      .map(({ id }) => id)
  }

  async #connect(node: number, wanted: readonly string[], grants: readonly string[], isEarliest: boolean) {
    const { hub } = this.#fixture(node)
    // A node that lags behind still delivers what the log has dropped meanwhile.
    const from = isEarliest ? Math.min(this.log.horizon, hub.head.position) : hub.head.position
    const connection = await this.#open(node, wanted, grants, isEarliest ? 'earliest' : null)
    this.readers.push({ topics: wanted, grants, node, received: [], from, isLost: false, ...connection })
  }

  async #open(
    node: number,
    wanted: readonly string[],
    grants: readonly string[],
    lastEventId: string | null,
  ) {
    const matchers = wanted.map((topic) => ['exact', topic] as const)
    return await this.#fixture(node).subscribe(matchers, { identity: identity(grants), lastEventId })
  }

  async #reconnect(reader: Reader, node: number): Promise<void> {
    this.#fixture(reader.node).hub.end(reader.subscriber, { kind: 'client' })
    this.#collect(reader)
    const last = reader.received.at(-1) ?? null
    // Without any event a reader has no cursor: it starts anew, as a browser does.
    const connection = await this.#open(node, reader.topics, reader.grants, last)
    if (last === null) reader.from = this.#fixture(node).hub.head.position
    if (last !== null && connection.cursor.lastEventId !== last) reader.isLost = true
    reader.node = node
    reader.sink = connection.sink
    reader.subscriber = connection.subscriber
  }

  async #restart(node: number): Promise<void> {
    await this.#fixture(node).hub.close()
    await this.start(node)
    for (const reader of this.readers) if (reader.node === node) await this.#reconnect(reader, node)
  }

  /** The node is gone in the middle of everything, and another one comes up in its place. */
  async #die(node: number): Promise<void> {
    const readers = this.readers.filter((reader) => reader.node === node)
    await this.start(node)
    for (const reader of readers) await this.#reconnect(reader, node)
  }

  #collect(reader: Reader): void {
    reader.received.push(...reader.sink.ids)
    reader.sink = new ArraySink()
  }

  async #withReader(index: number, run: (reader: Reader) => Promise<void>): Promise<void> {
    const reader = this.readers[index % Math.max(1, this.readers.length)]
    if (reader !== undefined) await run(reader)
  }

  #node(index: number): SharedLogNode {
    const node = this.#nodes[index]
    if (node === undefined) throw new Error('no such node')
    return node
  }

  #fixture(index: number): HubFixture {
    const fixture = this.#fixtures[index]
    if (fixture === undefined) throw new Error('no such node')
    return fixture
  }
}

describe('the simulation', () => {
  const property = (kept: number, actions: fc.Arbitrary<Action> = action) =>
    fc.asyncProperty(fc.array(actions, { maxLength: 60 }), async (steps) => {
      const simulation = new Simulation(kept)
      await simulation.start(0)
      await simulation.start(1)
      for (const step of steps) await simulation.run(step)
      await simulation.finish()
      for (const reader of simulation.readers) {
        if (reader.isLost) continue
        expect(reader.received).toEqual(simulation.expected(reader))
      }
    })

  test('SUB-64 REC-11 REC-12 REC-13 every reader gets what it asked for and may read, in order, once', async () => {
    await fc.assert(property(Number.POSITIVE_INFINITY), { numRuns: 400 })
  }, 60_000)

  test('REC-07 with a short past a reader either has no gap or is told so', async () => {
    await fc.assert(property(8), { numRuns: 300 })
  }, 60_000)

  test('REC-07 whoever reads on in a log that was replaced either has no gap or is told so', async () => {
    const actions = fc.oneof({ weight: 30, arbitrary: action }, replacement)
    await fc.assert(property(Number.POSITIVE_INFINITY, actions), { numRuns: 300 })
  }, 60_000)

  test('REC-07 a log that forgets what was accepted, and nodes that die, leave no gap that a reader is not told of', async () => {
    const actions = fc.oneof({ weight: 12, arbitrary: action }, { weight: 2, arbitrary: failure })
    // A reader brings a cursor that its node has not come to, and whoever had come there is gone.
    const moved: Action[] = [
      { kind: 'publish', node: 0, topics: ['a'], isPrivate: false, burst: 1 },
      { kind: 'skip', node: 1, count: 1 },
      { kind: 'connect', node: 1, topics: ['*'], grants: [], isEarliest: true },
      { kind: 'reconnect', reader: 0, node: 0 },
      { kind: 'forget', count: 1 },
      { kind: 'restart', node: 1 },
    ]
    await fc.assert(property(Number.POSITIVE_INFINITY, actions), { numRuns: 10_000, examples: [[moved]] })
    await fc.assert(property(8, actions), { numRuns: 5000 })
  }, 60_000)
})
