import type { HubEvent, HubLimits } from '../../src/hub/event.ts'
import { Hub } from '../../src/hub/hub.ts'
import type { Presence } from '../../src/hub/presence.ts'
import type { CloseReason, Sink } from '../../src/hub/subscriber.ts'
import type { Transport } from '../../src/hub/transport.ts'
import type { Witness } from '../../src/hub/witness.ts'
import { decodeForm } from '../../src/protocol/form.ts'
import { anonymous, type Grant, grantsWeight, type Identity } from '../../src/protocol/grant.ts'
import { parseMatcher } from '../../src/protocol/matcher.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import { parseUpdate, type Update } from '../../src/protocol/update.ts'
import { EventReader, type ReceivedEvent } from './event-stream.ts'
import { vectorHubUrl } from './vectors.ts'

export const location = hubLocation(vectorHubUrl)

/** A sink that is an array: what a reader would have received. */
export class ArraySink implements Sink {
  readonly #reader = new EventReader()
  readonly #decoder = new TextDecoder()
  closedWith: CloseReason | null = null
  writes = 0
  isReady = true
  waitingBytes = 0
  #resume: (() => void) | null = null

  write(frame: Uint8Array): void {
    if (this.closedWith !== null) return
    this.writes++
    this.#reader.push(this.#decoder.decode(frame, { stream: true }))
  }

  ready(): Promise<void> {
    if (this.isReady || this.closedWith !== null) return Promise.resolve()
    return new Promise((resolve) => {
      this.#resume = resolve
    })
  }

  close(reason: CloseReason): void {
    this.closedWith ??= reason
    this.#resume?.()
  }

  /** The reader takes nothing more until `resume`. */
  stall(): void {
    this.isReady = false
  }

  resume(): void {
    this.isReady = true
    this.#resume?.()
  }

  get events(): readonly ReceivedEvent[] {
    return this.#reader.events
  }

  get ids(): readonly string[] {
    return this.events.map(({ id }) => id)
  }
}

/** A hub on a transport, with turns that the test owns. */
export class HubFixture {
  readonly hub: Hub
  readonly events: HubEvent[] = []
  #scheduled: (() => void)[] = []
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>()
  #ids = 0
  /** Of the ids that it makes: hubs of one log must have different ones. */
  name = 'test'
  now = 0

  constructor(
    transport: Transport,
    limits: Partial<HubLimits> = {},
    presence: Presence | null = null,
    witness: Witness | null = null,
  ) {
    this.hub = new Hub({
      transport,
      location,
      loop: {
        now: () => this.now,
        later: (run) => this.#scheduled.push(run),
        delay: (ms, run) => {
          const timer = { at: this.now + ms, run }
          this.#timers.add(timer)
          return () => void this.#timers.delete(timer)
        },
      },
      newId: () => `urn:${this.name}:${++this.#ids}`,
      observe: (event) => this.events.push(event),
      witness,
      collectGarbage: () => {},
      presence,
      presenceGraceMs: 2000,
      limits: {
        memoryBytes: 0,
        sliceMs: 8,
        pendingBytes: 1024 * 1024,
        remembered: 1000,
        pageEntries: 500,
        pageBytes: 256 * 1024,
        ...limits,
      },
    })
  }

  /** Runs turns until nothing is scheduled and no promise is under way. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      await new Promise((resolve) => setImmediate(resolve))
      const due = this.#scheduled
      this.#scheduled = []
      for (const run of due) run()
      quiet = due.length === 0 ? quiet + 1 : 0
    }
  }

  /** Lets time pass, with what was due in it. */
  async pass(ms: number): Promise<void> {
    this.now += ms
    for (const timer of this.#timers) {
      if (timer.at > this.now) continue
      this.#timers.delete(timer)
      timer.run()
    }
    await this.settle()
  }

  /** Runs what one turn of the loop would run. */
  turn(): void {
    const due = this.#scheduled
    this.#scheduled = []
    for (const run of due) run()
  }

  async publish(fields: Fields): Promise<string> {
    return await this.hub.publish(update(fields))
  }

  /** Subscribes with matchers written as `type:pattern`, or `exact` alone as the pattern. */
  async subscribe(
    matchers: readonly (readonly [type: string, pattern: string])[],
    more: { identity?: Identity; lastEventId?: string | null; sink?: ArraySink } = {},
  ) {
    const sink = more.sink ?? new ArraySink()
    const cursor = await this.hub.locate(more.lastEventId ?? null)
    const parsed = matchers.map(([type, pattern]) => parseMatcher(type, pattern, location))
    const subscriber = this.hub.subscribe(parsed, more.identity ?? identity([]), cursor, sink)
    return { sink, subscriber, cursor }
  }
}

/** The fields of an update, as a publisher would write them. */
export type Fields = Partial<Omit<Update, 'topics'>> & { readonly topics: readonly string[] }

/** An update through the one parser, so that tests cannot make an invalid one. */
export function update(fields: Fields): Update {
  const pairs = fields.topics.map((topic) => ['topic', topic])
  if (fields.data !== undefined) pairs.push(['data', fields.data])
  if (fields.type) pairs.push(['type', fields.type])
  if (fields.private === true) pairs.push(['private', 'on'])
  const body = pairs.map(([name = '', value = '']) => `${name}=${encodeURIComponent(value)}`).join('&')
  const parsed = parseUpdate(decodeForm(new TextEncoder().encode(body)), location, {
    topics: 0,
    field: 0,
    id: 0,
  })
  // The hub's own ids may be what a publisher must not choose, such as a fragment.
  return { ...parsed, id: fields.id ?? null }
}

/** Whoever may read private updates on these exact topics. */
export function identity(topics: readonly string[]): Identity {
  const grant: Grant = {
    publish: false,
    subscribe: true,
    topics: topics.map((topic) => parseMatcher('exact', topic, location)),
    payload: null,
  }
  return { ...anonymous, grants: [grant], weight: grantsWeight([grant]) }
}
