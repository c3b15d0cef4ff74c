/**
 * The log on a Redis or Valkey server, shared by every node of the hub.
 * Life: `open` makes a session (three connections to one run of the primary), says hello and follows the tail from the
 * head on; appends gather in the outbox and go in batches; the tail brings every batch, the own ones too, and only then
 * an append is over. An error ends the session: a new one says hello with the place of the tail, which tells whether the
 * log still has what this node has seen, and sends again what is not over. `close` waits for the outbox and lets go.
 */

import {
  type DatedEntry,
  type Entry,
  type Head,
  type Page,
  type PageLimit,
  type Position,
  START,
  type Transport,
  type TransportStats,
} from '../../hub/transport.ts'
import { ProtocolError } from '../../protocol/error.ts'
import type { Envelope } from '../../protocol/update.ts'
import type { Notice } from '../notice.ts'
import type { Retention, Rule } from '../retention.ts'
import { asError, messageOf } from './connection.ts'
import { unpackEntry } from './entry.ts'
import { type Greeting, headOf, sayHello } from './greeting.ts'
import { Link } from './link.ts'
import { type Neighbour, type NodeReport, readNeighbours, reportText } from './neighbours.ts'
import { type Batch, batchArguments, Outbox, type Work } from './outbox.ts'
import { type CompileRule, parseRules, rulesText } from './rules.ts'
import { APPEND } from './scripts/append.ts'
import { LOCATE } from './scripts/hello.ts'
import { BYE, TICK } from './scripts/nodes.ts'
import { FIGURES, FIND, LOOK_BACK, READ } from './scripts/reading.ts'
import type { Script } from './scripts/script.ts'
import type { ServerOptions } from './server.ts'
import type { Session } from './session.ts'
import { cutToLimits, type Sorting, sortIntoRules } from './sorting.ts'
import { parseTail, type TailBatch } from './tail.ts'

/** The options of a log on a server. */
export interface RedisOptions {
  readonly server: ServerOptions
  /** The names of its keys begin with this. */
  readonly prefix: string
  readonly retention: Retention
  /** Makes a rule that the log keeps: another node may have brought it. */
  readonly compile: CompileRule
  /** Replicas that must have a batch before its publishers are answered; 0 asks for none. */
  readonly replicas: number
  /** The time of the log, in milliseconds; null: that of the server. */
  readonly clock: (() => number) | null
  readonly notify: (notice: Notice) => void
  /** Hears how long a batch took to be stored, in milliseconds. */
  readonly onBatch: (ms: number) => void
  /** The figures of this node for the others, asked for each second; by default it leaves none. */
  readonly report?: () => NodeReport
  /** How much the tail keeps for nodes that are away; by default 30 s and 64 MiB. */
  readonly window?: { readonly ms: number; readonly bytes: number }
}

/** Levels and totals since the start, for metrics. */
export interface RedisFigures {
  readonly isUp: boolean
  readonly reconnects: number
  readonly batches: number
  /** Bytes that wait to be stored. */
  readonly waitingBytes: number
  /** The entries that were in the log and not delivered by the tail, at the last look. */
  readonly lag: number
  readonly forks: number
  readonly losses: number
}

/** The presence of the same node, as far as it hears of the log. */
export interface NodeListener {
  /** A session has begun, or the node's lease had run out: its rows may be gone. */
  onDoubt(): void
  /** A node is dead, and this one is to tell the ends of its subscriptions. */
  onDead(node: string): void
}

interface Place {
  readonly position: number
  readonly id: string
}

/** A log that every node of a hub shares. */
export class RedisTransport implements Transport {
  /** The name of this node in the log: another one in each process. */
  readonly node = crypto.randomUUID()
  readonly #options: RedisOptions
  readonly #outbox = new Outbox(() => performance.now())
  #state: 'new' | 'open' | 'closed' = 'new'
  readonly #link: Link
  #rules: readonly Rule[]
  #log = ''
  #run = ''
  #generation = '0'
  /** The name under which this node said hello last. */
  #sessionName = ''
  /** The place of the tail. */
  #place: Place = { position: 0, id: '' }
  /** The furthest entry that was read or found here: readers may have it before the tail brings it. */
  #seen: Place = { position: 0, id: '' }
  #isSending = false
  #sorting: Promise<void> | null = null
  #timer: ReturnType<typeof setInterval> | null = null
  #ticking: Promise<void> | null = null
  #looks = 0
  #tail: Tail = { onEntry: () => {}, onLost: () => {}, drained: () => null }
  #listener: NodeListener = { onDoubt: () => {}, onDead: () => {} }
  #nodes = 1
  #count = { ticks: 0, batches: 0, lag: 0, forks: 0, losses: 0 }
  /** Whether a batch was refused that may have held rows of the presence: it looks after them at the next tick. */
  #isInDoubt = false

  constructor(options: RedisOptions) {
    this.#options = options
    this.#rules = options.retention.rules ?? []
    this.#link = new Link({
      ...options,
      prefix: `{${options.prefix}}:`,
      greet: (session) => this.#resume(session),
      onSession: (session) => {
        this.#kick()
        void this.#follow(session)
      },
      // A closed log has a session until its outbox is empty.
      isOver: () => this.#state === 'closed' && this.#outbox.isEmpty,
    })
  }

  async open(
    onEntry: (entry: Entry) => void,
    onLost: (head: Head) => void,
    drained: () => Promise<void> | null = () => null,
  ): Promise<Head> {
    if (this.#state !== 'new') throw new Error('a log is opened once')
    this.#state = 'closed'
    this.#tail = { onEntry, onLost, drained }
    let head: Head = { position: START, id: null }
    try {
      await this.#link.open(async (session) => {
        head = await this.#begin(session)
      })
    } catch (error) {
      throw new Error(`redis.url: ${messageOf(error)}`, { cause: error })
    }
    this.#state = 'open'
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
    this.#timer.unref()
    // In a later turn: nothing comes before the caller knows that the log is open.
    setImmediate(() => void this.#link.keep())
    return head
  }

  async append(envelope: Envelope): Promise<void> {
    this.#checkUse()
    if (this.#outbox.bytes > WAITING_BYTES) throw unavailable('too much waits for the server')
    const { id, topics, frame } = envelope
    const bytes = frame.length + id.length + topics.reduce((sum, { length }) => sum + length, 0)
    await this.store({ ...plainUpdate, bytes, make: () => [envelope] })
  }

  /** Stores something once. Resolves when the tail has brought it; rejects as `append` does. */
  store(work: Work): Promise<void> {
    const stored = this.#outbox.add(work)
    this.#kick()
    return stored
  }

  async find(id: string): Promise<Position | null> {
    const [position] = await this.ask(FIND, () => [this.#now(), this.#log, id])
    if (position === undefined || String(position) === '') return null
    this.#note({ position: Number(position), id })
    return Number(position) as Position
  }

  async read(after: Position, until: Position, { entries, bytes }: PageLimit): Promise<Page | 'lost'> {
    const limit = [String(Math.min(entries, PAGE_ENTRIES)), String(bytes)]
    const [first, ...rest] = await this.ask(READ, () => [
      this.#now(),
      this.#log,
      String(after),
      String(until),
      ...limit,
    ])
    if (first === LOST) return 'lost'
    const page: Entry[] = []
    for (let at = 0; at + 1 < rest.length; at += 2) {
      const packed = rest[at + 1]
      if (!Buffer.isBuffer(packed)) throw unavailable('the server has lost a part of the log')
      page.push(unpackEntry(packed, Number(rest[at]) as Position))
    }
    const last = page.at(-1)
    if (last !== undefined) this.#note(last)
    return { entries: page, next: Number(first) as Position }
  }

  async browse(before: Position, { entries, bytes }: PageLimit): Promise<readonly DatedEntry[]> {
    const limit = [String(Math.min(entries, PAGE_ENTRIES)), String(bytes)]
    const page = await this.ask(LOOK_BACK, () => [this.#now(), this.#log, String(before), ...limit])
    const found: DatedEntry[] = []
    for (let at = 0; at + 2 < page.length; at += 3) {
      const packed = page[at + 2]
      if (!Buffer.isBuffer(packed)) throw unavailable('the server has lost a part of the log')
      found.push({ ...unpackEntry(packed, Number(page[at]) as Position), at: Number(page[at + 1]) })
    }
    return found
  }

  async stats(): Promise<TransportStats> {
    const figures = (await this.ask(FIGURES, () => [this.#now(), this.#log])).map(String)
    const [rows, bytes, oldest, dropped, places, now, , , losses, nodes, ...ruled] = figures
    this.#count.losses = Number(losses)
    this.#nodes = Number(nodes)
    const rules = this.#rules.map((_, at) => ({
      rows: Number(ruled[2 * at] ?? 0),
      bytes: Number(ruled[2 * at + 1] ?? 0),
    }))
    return {
      rows: Number(rows),
      dropped: Number(dropped),
      bytes: Number(bytes),
      oldestAt: oldest === '' ? null : Number(oldest),
      now: Number(now),
      fileBytes: 0,
      places: Number(places),
      retentionRuns: this.#count.ticks,
      ...(rules.length > 0 && { rules }),
    }
  }

  async check(): Promise<void> {
    this.#checkUse()
    const { session } = this.#link
    if (session === null) throw this.#link.unreachable()
    await this.#tick(session).catch(() => {
      throw this.#link.unreachable()
    })
    if (session.isOver) throw unavailable('the server or its log changed')
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') return
    // Nothing more is taken, and everything that was taken comes to its end: stored, or given up in time.
    this.#state = 'closed'
    await this.#outbox.settled()
    if (this.#timer !== null) clearInterval(this.#timer)
    // A tick that the server runs after the farewell would bring the node back.
    await this.#ticking
    await this.#link.session?.script('write', BYE, [this.node]).catch(() => [])
    this.#link.close()
  }

  /** Figures for metrics. */
  get figures(): RedisFigures & { readonly nodes: number } {
    const { session, reconnects } = this.#link
    const { bytes: waitingBytes } = this.#outbox
    return { ...this.#count, isUp: session !== null, reconnects, waitingBytes, nodes: this.#nodes }
  }

  /** The other nodes, as they were a second ago or longer. Rejects with `store-unavailable`. */
  async neighbours(): Promise<readonly Neighbour[]> {
    return await readNeighbours(
      (...asked) => this.ask(...asked),
      this.node,
      LEASE_MS,
      () => this.#now(),
    )
  }

  /** Who hears of doubts and of dead nodes. */
  listen(listener: NodeListener): void {
    this.#listener = listener
  }

  /** The log as it is named on the server; empty before it is open. */
  get log(): string {
    return this.#log
  }

  /** The time to give to a script; empty: that of the server. */
  get time(): string {
    return this.#now()
  }

  /** Drops what is too old now. The timer calls it; so may a test. */
  async prune(): Promise<void> {
    const { session } = this.#link
    if (session !== null) await this.#tick(session)
  }

  /**
   * Answers what a script reads, without its status; `LOST` alone where it says that. `args` are made for each attempt: a
   * reader waits for a log that is away for a moment, as a publisher does. Rejects with `store-unavailable`.
   */
  async ask(script: Script, args: () => readonly (string | Buffer)[]): Promise<readonly unknown[]> {
    const until = performance.now() + this.#options.server.timeoutMs
    for (;;) {
      this.#checkUse()
      const session = await this.#link.reach(until)
      const answer = await session.script('read', script, args()).catch(() => null)
      if (answer === null && !session.isOver) throw this.#link.unreachable()
      const [status, ...rest] = answer ?? ['AWAY']
      switch (String(status)) {
        case 'OK':
          return rest
        case 'LOST':
          return [LOST]
        case 'AGAIN':
        case 'AWAY':
          break
        default:
          session.end(new Error('the log or its server changed'))
      }
    }
  }

  /** Says hello for the first time: the limits of this node hold from now on, also for what is stored. */
  async #begin(session: Session): Promise<Head> {
    const { head, changed } = await this.#hello(session, true)
    if (changed.length > 0) this.#options.notify({ kind: 'limits', names: changed })
    this.#place = { position: head.position, id: head.id ?? '' }
    await sortIntoRules(this.#sortingOf(session), true)
    await cutToLimits(this.#sortingOf(session))
    await this.#tick(session)
    return head
  }

  /** Says hello again: batches that are not over are sent again, and the presence looks after its rows. */
  async #resume(session: Session): Promise<void> {
    const { head, isLost, known } = await this.#hello(session, false)
    this.#outbox.begin(known)
    if (isLost) this.#lose(head)
    this.#listener.onDoubt()
  }

  async #hello(session: Session, isFirst: boolean): Promise<Greeting> {
    const { retention, window = WINDOW } = this.#options
    const greeting = await sayHello(session, {
      now: this.#now(),
      node: this.node,
      log: this.#log,
      run: this.#run,
      ...(this.#seen.position > this.#place.position ? this.#seen : this.#place),
      limits: isFirst ? retention : { ...retention, rules: this.#rules },
      isApplied: isFirst,
      window,
    })
    // Another node may have brought other rules.
    if (greeting.rules !== rulesText({ ...retention, rules: this.#rules }))
      this.#rules = parseRules(greeting.rules, this.#options.compile)
    this.#generation = greeting.generation
    this.#log = greeting.log
    this.#sessionName = greeting.session
    this.#run = session.run
    if (greeting.isFork) this.#count.forks++
    return greeting
  }

  /** Reads the tail until the session is over. */
  async #follow(session: Session): Promise<void> {
    try {
      while (!session.isOver) {
        const from = `${this.#place.position}-0`
        const args = ['XREAD', 'COUNT', '16', 'BLOCK', String(BLOCK_MS), 'STREAMS', session.key('tail'), from]
        const batches = parseTail(await session.call('tail', args, BLOCK_MS))
        for (const batch of batches) {
          if (session.isOver) return
          if (!(await this.#take(session, batch))) break
        }
        const drained = this.#tail.drained()
        if (drained !== null) await drained
      }
    } catch (error) {
      session.end(asError(error))
    }
  }

  /** Answers whether the batches that were read with it are still next. */
  async #take(session: Session, batch: TailBatch): Promise<boolean> {
    if (batch.last <= this.#place.position) return true
    if (batch.before === null || batch.before > this.#place.position) {
      await this.#relocate(session)
      return false
    }
    const own = batch.node === this.node ? this.#outbox.find(batch.number) : null
    // The tail brings a batch before its answer is read: its publishers need not wait for that.
    if (own !== null && own.last === null)
      this.#outbox.place(own, batch.last - batch.entries.length + 1, batch.flags)
    if (own !== null && this.#options.replicas === 0) own.isConfirmed = true
    for (const entry of batch.entries) {
      this.#place = { position: entry.position, id: entry.id }
      this.#tail.onEntry(entry)
    }
    this.#outbox.deliver(this.#place.position)
    return true
  }

  /** The tail has lost its place: it goes on at the head. */
  async #relocate(session: Session): Promise<void> {
    const [status, head, id] = await session.script('read', LOCATE, [this.#log, this.#run])
    if (String(status) !== 'OK') throw new Error('the log or its server changed')
    this.#lose(headOf(head, id))
  }

  #note({ position, id }: Place): void {
    if (position > this.#seen.position) this.#seen = { position, id }
  }

  #lose(head: Head): void {
    this.#place = { position: head.position, id: head.id ?? '' }
    this.#seen = this.#place
    this.#options.notify({ kind: 'behind' })
    this.#tail.onLost(head)
    this.#outbox.deliver(head.position)
  }

  #kick(): void {
    if (this.#isSending || this.#link.session === null) return
    this.#isSending = true
    queueMicrotask(() => void this.#send())
  }

  /** Sends batch after batch until there is none. */
  async #send(): Promise<void> {
    for (;;) {
      const { session } = this.#link
      const batch = session === null ? null : this.#outbox.next()
      if (session === null || batch === null) {
        // In the turn in which nothing more was found, so that no append is left between.
        this.#isSending = false
        return
      }
      try {
        await this.#sendBatch(session, batch)
      } catch (error) {
        if (session.isOver) continue
        this.#outbox.refuse(batch, refusalOf(error))
        this.#isInDoubt = true
      }
    }
  }

  /** Rejects with what the server said when it refused the batch alone. */
  async #sendBatch(session: Session, batch: Batch): Promise<void> {
    const origin = `${this.#log} ${this.#run}`
    const isAgain = batch.origin !== null && batch.origin !== origin
    batch.origin ??= origin
    if (batch.sentAt === 0) batch.sentAt = performance.now()
    const args = [
      this.#now(),
      this.#log,
      this.#run,
      this.#generation,
      this.node,
      String(batch.number),
      isAgain ? '1' : '0',
      this.#sessionName,
      ...batchArguments(batch, this.#rules),
    ]
    const [status, first, flags] = await session.script('write', APPEND, args)
    switch (String(status)) {
      case 'AGAIN':
        return
      case 'OK':
        break
      case 'STALE':
        throw unavailable('the batch was given up')
      default:
        session.end(new Error('the log or its server changed'))
        return
    }
    await this.#confirm(session, batch)
    this.#count.batches++
    this.#options.onBatch(performance.now() - batch.sentAt)
    if (batch.last === null) this.#outbox.place(batch, Number(first), String(flags))
    this.#outbox.deliver(this.#place.position)
  }

  /** Waits for the replicas that the settings ask for. Rejects with `store-unavailable` when there are fewer. */
  async #confirm(session: Session, batch: Batch): Promise<void> {
    const { replicas, server } = this.#options
    if (replicas > 0) {
      const waitMs = server.timeoutMs
      const reached = Number(await session.call('write', ['WAIT', String(replicas), String(waitMs)], waitMs))
      if (reached < replicas)
        throw unavailable(`${reached} of ${replicas} replicas have it: it may be delivered all the same`)
    }
    batch.isConfirmed = true
  }

  #look(): void {
    const { timeoutMs } = this.#options.server
    const late = unavailable('the server of the log does not answer in time')
    if (this.#outbox.refuseOlder(timeoutMs, late))
      this.#link.session?.end(new Error(`no answer within ${timeoutMs} ms`))
    const { session } = this.#link
    this.#looks = (this.#looks + 1) % LOOKS_BETWEEN_TICKS
    if (this.#looks > 0 || session === null || this.#ticking !== null) return
    this.#ticking = this.#tick(session)
      .then(() => this.#link.askSentinels(session))
      .catch((error) => session.end(asError(error)))
      .finally(() => {
        this.#ticking = null
      })
  }

  async #tick(session: Session): Promise<void> {
    this.#count.ticks++
    const own = this.#options.report?.()
    const report = own === undefined ? '' : reportText(own, this.#place.position)
    for (;;) {
      const args = [
        this.#now(),
        this.#log,
        this.#run,
        this.node,
        String(LEASE_MS),
        String(this.#place.position),
        report,
      ]
      const [status, hasExpired, dead, isUnsorted, head, generation] = await session.script(
        'read',
        TICK,
        args,
      )
      if (String(status) !== 'OK' && String(status) !== 'AGAIN') {
        session.end(new Error('the log or its server changed'))
        return
      }
      this.#count.lag = Math.max(0, Number(head) - this.#place.position) % FORK_GAP
      if (String(hasExpired) === '1' || this.#isInDoubt) {
        this.#isInDoubt = false
        this.#listener.onDoubt()
      }
      if (String(dead) !== '') this.#listener.onDead(String(dead))
      if (String(generation) !== this.#generation) {
        session.end(new Error('another node has brought other rules'))
        return
      }
      if (String(isUnsorted) === '1') this.#startSorting(session)
      if (String(status) === 'OK') return
    }
  }

  /** A node that died while it sorted has left the rest to the others. */
  #startSorting(session: Session): void {
    this.#sorting ??= sortIntoRules(this.#sortingOf(session), false)
      .catch(() => {})
      .finally(() => {
        this.#sorting = null
      })
  }

  #sortingOf(session: Session): Sorting {
    return {
      session,
      now: () => this.#now(),
      node: this.node,
      log: this.#log,
      generation: this.#generation,
      rules: this.#rules,
    }
  }

  #now(): string {
    const { clock } = this.#options
    return clock === null ? '' : String(Math.floor(clock()))
  }

  /** Throws `store-unavailable` when the log is not open, or has been away for too long to wait for it. */
  #checkUse(): void {
    if (this.#state !== 'open') throw unavailable('the log is not open')
    this.#link.checkPatience()
  }
}

interface Tail {
  readonly onEntry: (entry: Entry) => void
  readonly onLost: (head: Head) => void
  readonly drained: () => Promise<void> | null
}

const LOST = 'lost'
const plainUpdate = { kind: 'u', owner: '', subscriber: '', document: '', updates: 1 } as const
const WAITING_BYTES = 64 * 1024 * 1024
const WINDOW = { ms: 30_000, bytes: 64 * 1024 * 1024 }
/** A script can hand over a few thousand values at once. */
const PAGE_ENTRIES = 3000
const BLOCK_MS = 2000
/** Appends that wait are looked at this often, and every fourth time the log. */
const LOOK_MS = 250
const LOOKS_BETWEEN_TICKS = 4
const LEASE_MS = 10_000
/** The distance of positions from one run of the server to the next. */
const FORK_GAP = 2 ** 32

function unavailable(problem: string): ProtocolError {
  return new ProtocolError('store-unavailable', problem)
}

/** The refusal of the server in our words. */
function refusalOf(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error
  const message = messageOf(error)
  if (message.startsWith('OOM')) return new ProtocolError('store-full', 'the server has no memory left')
  if (message.startsWith('NOREPLICAS')) return unavailable('the server has too few replicas')
  return new ProtocolError('store-failed', 'the server refuses to write')
}
