import {
  type Entry,
  type Head,
  type Page,
  type PageLimit,
  type Position,
  START,
  type Transport,
  type TransportStats,
} from '../../src/hub/transport.ts'
import { ProtocolError } from '../../src/protocol/error.ts'
import type { Envelope } from '../../src/protocol/update.ts'

/**
 * One log that several nodes tail, each as far behind as the test wants: a cluster without a network. As a server may,
 * it can forget its newest entries, acknowledged or not; a node that has seen one of them proves the loss, once, and
 * every node is told.
 */
export class SharedLog {
  /** The entries and, without one, the places where a loss is told. */
  places: Place[] = []
  /** How often another log has taken its place. */
  generation = 0
  /** How often it has forgotten entries: each time is another run of the server. */
  run = 0
  #head = 0
  #headId: string | null = null
  #horizon = 0
  /** The head that each run has left to the next. */
  readonly #forks = new Map<number, number>()
  /** Where the loss of what a run had was told, by run. */
  readonly #losses = new Map<number, number>()
  readonly #unknown = new Set<Position>()
  readonly #kept: number

  /** `kept`: how many of the newest entries are still there. */
  constructor(kept: number) {
    this.#kept = kept
  }

  /** Whatever is at or before this place is not kept. */
  get horizon(): number {
    return this.#horizon
  }

  /** Everything up to here counts as unknown, because some of it was lost. */
  get loss(): number {
    return Math.max(0, ...this.#losses.values())
  }

  get head(): Head {
    return { position: this.#head as Position, id: this.#headId }
  }

  /** The entries that are kept. */
  get entries(): readonly Entry[] {
    return this.all.filter(({ position }) => position > this.#horizon)
  }

  /** The entries since the log began, but for those that it has forgotten. */
  get all(): readonly Entry[] {
    return this.places.flatMap(({ entry }) => entry ?? [])
  }

  /** Another log stands in its place, as after a restored backup: empty, with positions from 1. */
  replace(): void {
    this.places = []
    this.#head = 0
    this.#headId = null
    this.#horizon = 0
    this.#forks.clear()
    this.#losses.clear()
    this.#unknown.clear()
    this.generation++
  }

  add(envelope: Envelope): Entry {
    const entry = { ...envelope, position: ++this.#head as Position }
    this.places.push({ position: entry.position, entry })
    this.#headId = entry.id
    const { all } = this
    this.#horizon = Math.max(this.#horizon, all.at(-1 - this.#kept)?.position ?? 0)
    return entry
  }

  /**
   * Stores what a node has sent in an earlier run as well. Somebody may have received it there, and what follows it now
   * is not what followed it then: so nobody finds it by its id.
   */
  addAgain(envelope: Envelope): Entry {
    const entry = this.add(envelope)
    this.#unknown.add(entry.position)
    return entry
  }

  /** Where the earliest entry with this id stands; null when nobody can go on from there. */
  find(id: string): Position | null {
    const isFound = (entry: Entry) => entry.id === id && !this.#unknown.has(entry.position)
    const position = this.entries.find(isFound)?.position ?? START
    return position > this.loss ? position : null
  }

  /** The newest entries are gone, as after a failover to a server that was behind. Positions are not used again. */
  forget(count: number): void {
    if (count > 0) this.places = this.places.slice(0, -count)
    this.#head = this.places.at(-1)?.position ?? this.#horizon
    this.#headId = this.all.at(-1)?.id ?? null
    // What was written after a lost entry is lost with it.
    for (const records of [this.#forks, this.#losses]) {
      for (const [run, at] of records) if (at > this.#head) records.delete(run)
    }
    this.#forks.set(this.run++, this.#head)
    this.#head += GAP
  }

  /** A node that follows this run has seen an entry at `tail`, or everything up to it. Answers whether it is told of a loss. */
  hello(run: number, tail: number): boolean {
    if (run === this.run) return false
    const isProof = tail > (this.#forks.get(run) ?? -1)
    if (tail > this.#head) this.#head = tail + GAP
    if (this.#losses.has(run)) return true
    if (!isProof) return false
    this.#losses.set(run, this.#head)
    this.places.push({ position: ++this.#head, entry: null })
    this.#headId = null
    return true
  }
}

interface Place {
  readonly position: number
  readonly entry: Entry | null
}

const GAP = 1000

/**
 * The end of the log as one node sees it. Appends resolve when the node's own tail has them. That the log was replaced
 * or has forgotten something it finds out when it touches the log next.
 */
export class SharedLogNode implements Transport {
  readonly #log: SharedLog
  #onEntry: (entry: Entry) => void = () => {}
  #onLost: (head: Head) => void = () => {}
  #tail = 0
  #tailId: string | null = null
  /** The furthest place that was read or found here: readers may have it before the tail. */
  #seen = 0
  #generation = 0
  #run = 0
  #waiting: Waiting[] = []

  constructor(log: SharedLog) {
    this.#log = log
  }

  async open(onEntry: (entry: Entry) => void, onLost: (head: Head) => void): Promise<Head> {
    this.#onEntry = onEntry
    this.#onLost = onLost
    this.#generation = this.#log.generation
    this.#run = this.#log.run
    return this.#follow()
  }

  append(envelope: Envelope): Promise<void> {
    this.#look()
    const { position } = this.#log.add(envelope)
    return new Promise((resolve, reject) => this.#waiting.push({ envelope, position, resolve, reject }))
  }

  /** Places of the log that this node has not come to yet. */
  get lag(): number {
    return this.#ahead.length
  }

  /** The tail goes on by so many places. */
  advance(count: number): void {
    this.#look()
    for (const { position, entry } of this.#ahead.slice(0, count)) {
      // A node that is told of a loss goes on at the head.
      if (position <= this.#tail) continue
      if (entry === null) {
        this.#lose(this.#follow())
        continue
      }
      this.#tail = position
      this.#tailId = entry.id
      this.#onEntry(entry)
    }
    this.#resolve()
  }

  /** The tail loses its place: so many entries were trimmed before it took them. */
  skip(count: number): void {
    this.#look()
    const last = this.#ahead.slice(0, count).at(-1)
    if (last !== undefined) {
      this.#tail = last.position
      this.#tailId = last.entry?.id ?? null
    }
    this.#lose({ position: this.#tail as Position, id: this.#tailId })
    this.#resolve()
  }

  get #ahead(): readonly Place[] {
    return this.#log.places.filter(({ position }) => position > this.#tail)
  }

  #follow(): Head {
    const { head } = this.#log
    this.#tail = head.position
    this.#tailId = head.id
    this.#seen = 0
    return head
  }

  #lose(head: Head): void {
    this.#onLost(head)
  }

  #look(): void {
    if (this.#generation === this.#log.generation) this.#lookForLoss()
    else this.#takeNewLog()
  }

  /** Appends to a log that was replaced are gone. */
  #takeNewLog(): void {
    this.#generation = this.#log.generation
    this.#run = this.#log.run
    const gone = this.#waiting
    this.#waiting = []
    this.#lose(this.#follow())
    for (const { reject } of gone) reject(new ProtocolError('store-failed', 'the log was replaced'))
  }

  /** The node sends again what is not in the log any more and was not delivered here. */
  #lookForLoss(): void {
    if (this.#run === this.#log.run) return
    const isLost = this.#log.hello(this.#run, Math.max(this.#tail, this.#seen))
    const isStored = ({ position, envelope }: Waiting) =>
      this.#log.all.some((entry) => entry.position === position && entry.id === envelope.id)
    this.#run = this.#log.run
    if (isLost) this.#lose(this.#follow())
    for (const one of this.#waiting)
      if (!isStored(one)) one.position = this.#log.addAgain(one.envelope).position
    this.#resolve()
  }

  #resolve(): void {
    while ((this.#waiting[0]?.position ?? Number.POSITIVE_INFINITY) <= this.#tail)
      this.#waiting.shift()?.resolve()
  }

  async find(id: string): Promise<Position | null> {
    this.#look()
    const position = this.#log.find(id)
    this.#seen = Math.max(this.#seen, position ?? 0)
    return position
  }

  async read(after: Position, until: Position, limit: PageLimit): Promise<Page | 'lost'> {
    this.#look()
    const { entries, horizon, loss } = this.#log
    if (after !== START && (after < horizon || after < loss)) return 'lost'
    const found = entries.filter(({ position }) => position > after && position <= until)
    const page = found.slice(0, limit.entries)
    const last = page.at(-1)?.position
    this.#seen = Math.max(this.#seen, last ?? 0)
    return { entries: page, next: page.length < limit.entries || last === undefined ? until : last }
  }

  async stats(): Promise<TransportStats> {
    const { all, entries } = this.#log
    return {
      rows: entries.length,
      dropped: all.length - entries.length,
      bytes: 0,
      oldestAt: null,
      now: 0,
      fileBytes: 0,
    }
  }

  async check(): Promise<void> {}

  async close(): Promise<void> {}
}

interface Waiting {
  readonly envelope: Envelope
  position: number
  resolve(): void
  reject(reason: unknown): void
}
