import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Subscriber } from '../src/hub/subscriber.ts'
import { type ArraySink, HubFixture } from './support/hub.ts'
import { SharedLog, SharedLogNode } from './support/shared-log.ts'
import { SharedPresence, SharedRows } from './support/shared-presence.ts'

/**
 * Readers come and go on two nodes of one presence while nodes lose the server, are taken for dead and die. Whatever
 * happens, what the log tells of each subscription begins and ends in turn, and in the end the rows, the log and the open
 * streams agree. One seed reproduces a run: fast-check prints it.
 */
const node = fc.nat({ max: 1 })

const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('subscribe' as const), node, topic: fc.nat({ max: 2 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('end' as const), reader: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), node }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('mend' as const), node }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('die' as const), node }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), seconds: fc.integer({ min: 1, max: 12 }) }),
  },
)
type Action = typeof action extends fc.Arbitrary<infer Kind> ? Kind : never

interface Reader {
  readonly node: Node
  readonly subscriber: Subscriber
  readonly sink: ArraySink
}

interface Node {
  readonly transport: SharedLogNode
  readonly presence: SharedPresence
  readonly fixture: HubFixture
}

class Simulation {
  readonly log = new SharedLog(Number.POSITIVE_INFINITY)
  readonly rows = new SharedRows(this.log)
  readonly #nodes: Node[] = []
  #readers: Reader[] = []
  #started = 0

  async start(at: number): Promise<void> {
    const transport = new SharedLogNode(this.log)
    const presence = new SharedPresence(this.rows)
    const fixture = new HubFixture(transport, {}, presence)
    fixture.name = `node-${++this.#started}`
    await fixture.hub.open()
    this.#nodes[at] = { transport, presence, fixture }
  }

  async run(step: Action): Promise<void> {
    switch (step.kind) {
      case 'subscribe': {
        const on = this.#node(step.node)
        const { subscriber, sink } = await on.fixture.subscribe([['exact', `t${step.topic}`]])
        this.#readers.push({ node: on, subscriber, sink })
        break
      }
      case 'end': {
        const [reader] = this.#readers.splice(step.reader % Math.max(1, this.#readers.length), 1)
        reader?.node.fixture.hub.end(reader.subscriber, { kind: 'client' })
        break
      }
      case 'cut':
        this.#node(step.node).presence.isUp = false
        break
      case 'mend':
        this.#node(step.node).presence.isUp = true
        break
      case 'die': {
        const dead = this.#node(step.node)
        this.#readers = this.#readers.filter((reader) => reader.node !== dead)
        dead.presence.isUp = false
        await this.start(step.node)
        break
      }
      case 'pass':
        this.rows.now += step.seconds
        this.#tick()
        break
      default:
        step satisfies never
    }
    for (const { fixture } of this.#nodes) await fixture.settle()
  }

  /** Every node is there again, and every lease of a dead one runs out. */
  async finish(): Promise<void> {
    for (const { presence } of this.#nodes) presence.isUp = true
    this.#tick()
    this.rows.now += 11
    this.#tick()
    // Each has the other's lease and the ends that it told.
    this.#tick()
    for (const { fixture } of this.#nodes) await fixture.settle()
  }

  /** The subscriptions of the open streams. */
  get open(): readonly string[] {
    return this.#readers.map(({ subscriber }) => subscriber.id).toSorted()
  }

  get stored(): readonly string[] {
    return [...this.rows.rows.values()].flatMap((rows) => [...rows.keys()]).toSorted()
  }

  #tick(): void {
    for (const { presence } of this.#nodes) presence.tick()
  }

  #node(at: number): Node {
    const found = this.#nodes[at]
    if (found === undefined) throw new Error('no such node')
    return found
  }
}

/** Who is subscribed by the log alone. Throws when somebody begins or ends twice. */
function toldBy(log: SharedLog): readonly string[] {
  const active = new Map<string, boolean>()
  for (const { frame } of log.all) {
    const data = /^data: ?(.*)$/m.exec(new TextDecoder().decode(frame))?.[1] ?? '{}'
    const event: { readonly subscriber: string; readonly active: boolean } = JSON.parse(data)
    if ((active.get(event.subscriber) ?? false) === event.active)
      throw new Error(`${event.subscriber} is told to be ${event.active} twice`)
    active.set(event.subscriber, event.active)
  }
  return [...active].flatMap(([subscriber, isActive]) => (isActive ? [subscriber] : [])).toSorted()
}

test('ACT-02 ACT-11 each subscription begins and ends once, whatever becomes of nodes and of the way to the server', async () => {
  const property = fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (steps) => {
    const simulation = new Simulation()
    await simulation.start(0)
    await simulation.start(1)
    for (const step of steps) await simulation.run(step)
    await simulation.finish()
    expect(toldBy(simulation.log)).toEqual(simulation.open)
    expect(simulation.stored).toEqual(simulation.open)
  })
  await fc.assert(property, { numRuns: 500 })
}, 60_000)
