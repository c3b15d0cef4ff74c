/**
 * The log in an SQLite file.
 * Life: `open` takes the lock of the file, checks or creates it, and starts the writer's thread; appends gather
 * while a batch is with the writer and make the next one; when a batch is committed its entries go to the tail
 * in order; reads run here on a connection of their own; `close` waits for the appends, empties the journal
 * and frees the lock.
 */

import type { Database } from 'bun:sqlite'
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
import { type Anchor, type Clocks, LogClock, NEW_ANCHOR } from '../log-clock.ts'
import type { Notice } from '../notice.ts'
import { type Retention, type RuleLimits, ruleOf } from '../retention.ts'
import { BATCH_ENTRIES, pack, takeBatch, type Waiting } from './batch.ts'
import { realPath } from './file/real-path.ts'
import { FileWatch } from './file-watch.ts'
import { type HistoryLock, lockHistory } from './lock.ts'
import { SqliteReader } from './reader.ts'
import { JOURNAL_BYTES } from './room.ts'
import { migrate, openHistory, readAnchor, readState } from './schema.ts'
import { sortIntoRules } from './sort.ts'
import { type Done, type Durability, type Request, WriterThread } from './thread.ts'

/** The options of a log in a file. */
export interface SqliteOptions {
  readonly path: string
  readonly durability: Durability
  readonly retention: Retention
  readonly clocks: Clocks
  readonly notify: (notice: Notice) => void
  /**
   * Starts `writer.ts`. The caller spells its URL relative to itself, because in the executable
   * `import.meta.url` is that of `main.ts` in every file.
   */
  readonly startWriter: () => Worker
}
/** A log of one hub that outlives its process. */
export class SqliteTransport implements Transport {
  readonly #options: SqliteOptions
  readonly #time: LogClock
  /** The anchor as it is in the file. */
  #anchor: Anchor = NEW_ANCHOR
  #isDamaged = false
  /** The reason why the file cannot be used any more, or null. */
  #lost: ProtocolError | null = null
  #isOpened = false
  #running: Running | null = null
  readonly #waiting: Waiting[] = []
  #draining: Promise<void> | null = null
  #delivered = START
  #latest: Done = {
    kind: 'done',
    head: 0,
    count: 0,
    bytes: 0,
    oldestAt: null,
    rules: [],
    places: 0,
    isTidy: true,
  }
  #commits = 0
  #commitsAtTick = 0
  #tidies = 0
  #tidying: Promise<void> | null = null
  #isJournalHeld = false
  /** The length of the turn of the event loop in which a batch was delivered last, in milliseconds. */
  #turnMs = 0

  constructor(options: SqliteOptions) {
    this.#options = options
    this.#time = new LogClock(options.clocks, options.notify)
  }

  async open(onEntry: (entry: Entry) => void): Promise<Head> {
    if (this.#isOpened) throw new Error('a log is opened once')
    this.#isOpened = true
    const { path, durability, retention, startWriter } = this.#options
    const { rules = [], maxCount, maxAgeMs, maxBytes } = retention
    const lock = lockHistory(path)
    let database: Database | null = null
    let thread: WriterThread | null = null
    try {
      // The thread starts on another core while the file is opened here.
      thread = new WriterThread(startWriter())
      database = openHistory(path)
      migrate(database, path)
      sortIntoRules(database, path, rules)
      const { head, headId, headAt } = readState(database)
      this.#anchor = readAnchor(database)
      this.#time.resume(this.#anchor, headAt)
      this.#latest = await thread.request({
        kind: 'open',
        path,
        descriptor: lock.descriptor,
        durability,
        limits: { maxCount, maxAgeMs, maxBytes },
        rules: rules.map(limitsOf),
        now: this.#time.now(),
        anchor: this.#time.anchor,
      })
      const timer = setInterval(() => this.#tick(), TICK_MS)
      timer.unref()
      const watch = new FileWatch(path, lock.descriptor)
      const reader = new SqliteReader(database, retention, {
        check: () => this.#checkReading(watch),
        onDamage: (problem) => this.#noteDamage(problem),
      })
      this.#running = { lock, thread, timer, tail: onEntry, reader }
      this.#delivered = head as Position
      this.#storeAnchor()
      if (lock.names > 1) this.#options.notify({ kind: 'names', count: lock.names })
      return { position: this.#delivered, id: headId }
    } catch (error) {
      thread?.terminate()
      database?.close()
      lock.close()
      // The operator reads this message, no client does.
      throw error instanceof ProtocolError ? new Error(error.message, { cause: error }) : error
    }
  }

  async append(envelope: Envelope): Promise<void> {
    const running = this.#open()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const rule = ruleOf(envelope.topics, this.#options.retention.rules ?? [])
    this.#waiting.push({ envelope, topics: JSON.stringify(envelope.topics), rule, resolve, reject })
    this.#draining ??= this.#drain(running)
    return promise
  }

  async find(id: string): Promise<Position | null> {
    // A committed entry that is still on its way to the tail does not exist yet for anybody.
    return this.#open().reader.find(id, this.#delivered, this.#time.now())
  }

  async read(after: Position, until: Position, limit: PageLimit): Promise<Page | 'lost'> {
    return this.#open().reader.page(after, until, limit, this.#time.now())
  }

  async browse(before: Position, limit: PageLimit): Promise<readonly DatedEntry[]> {
    const until = Math.min(before, this.#delivered + 1) as Position
    return this.#open().reader.browse(until, limit, this.#time.now())
  }

  async stats(): Promise<TransportStats> {
    this.#open()
    const { head, count, bytes, oldestAt, rules, places } = this.#latest
    const real = realPath(this.#options.path)
    const journalBytes = sizeOfJournal(real)
    const fileBytes = Bun.file(real).size + journalBytes
    // Every entry that ever was had the next sequence number.
    const now = this.#time.now()
    const whole = {
      rows: count,
      dropped: head - count,
      bytes,
      oldestAt,
      now,
      fileBytes,
      journalBytes,
      places,
      retentionRuns: this.#tidies,
    }
    return rules.length === 0
      ? whole
      : { ...whole, rules: rules.map((held) => ({ rows: held.count, bytes: held.bytes })) }
  }

  /** Transactions of appends since `open`: far fewer than appends when many arrive together. */
  get commits(): number {
    return this.#commits
  }

  async check(): Promise<void> {
    await this.#ask(this.#open(), { kind: 'probe' })
  }

  async close(): Promise<void> {
    const running = this.#running
    if (running === null) return
    this.#time.look()
    this.#storeAnchor()
    this.#running = null
    clearInterval(running.timer)
    await this.#draining
    if (this.#lost === null) running.reader.close()
    // A writer that is gone or a full disk leaves the journal to the next start, which reads it.
    await this.#ask(running, { kind: 'close' }).catch(() => {})
    // To close a file that is another one now, SQLite would read a file cut short and remove the journal of the other.
    if (this.#lost !== null) {
      running.thread.abandon()
      throw this.#lost
    }
    running.thread.terminate()
    running.lock.close()
  }

  /**
   * Drops entries that are too old and gives free room back, step by step between the batches; all of it when no
   * append came since the last time. The timer calls it; so may a test. Rejects as `append` does.
   */
  async prune(): Promise<void> {
    const isIdle = this.#commits === this.#commitsAtTick
    this.#commitsAtTick = this.#commits
    this.#tidying ??= this.#tidy(isIdle).finally(() => {
      this.#tidying = null
    })
    return this.#tidying
  }

  async #tidy(wasIdle: boolean): Promise<void> {
    while (this.#running !== null) {
      const isIdle = wasIdle && this.#draining === null
      const request = { kind: 'tidy', now: this.#time.now(), isIdle } as const
      this.#latest = await this.#ask(this.#running, request)
      if (!this.#latest.isTidy) continue
      this.#tidies++
      return
    }
  }

  #tick(): void {
    this.#time.look()
    this.#storeAnchor()
    this.#startTidying()
    this.#watchJournal()
  }

  /** Tells once when the journal passes what checkpoints would leave of it, and once when they come through again. */
  #watchJournal(): void {
    const bytes = sizeOfJournal(realPath(this.#options.path))
    const isHeld = bytes >= (this.#isJournalHeld ? JOURNAL_BYTES + 1 : HELD_JOURNAL_BYTES)
    if (isHeld === this.#isJournalHeld) return
    this.#isJournalHeld = isHeld
    this.#options.notify({ kind: 'journal', isHeld, bytes })
  }

  /** Stores the anchor when it is another one than in the file. A full disk delays it, until there is room. */
  #storeAnchor(): void {
    const { anchor } = this.#time
    if (this.#running === null || isSameAnchor(anchor, this.#anchor)) return
    const stored = this.#ask(this.#running, { kind: 'anchor', anchor })
    stored.then(
      () => {
        this.#anchor = anchor
      },
      () => {},
    )
  }

  /** Asks the writer, and hears from it whether the file is still there. */
  async #ask({ thread }: Pick<Running, 'thread'>, request: Request): Promise<Done> {
    try {
      const done = await thread.request(request)
      this.#lost = null
      return done
    } catch (error) {
      if (error instanceof ProtocolError && error.code === 'store-unavailable') this.#lose(error)
      throw error
    }
  }

  #lose(reason: ProtocolError): void {
    const isNew = this.#lost === null
    this.#lost = reason
    if (isNew) this.#options.notify({ kind: 'lost', problem: reason.message })
  }

  /** Tells the operator of damage once, though every reader who gets there meets it again. */
  #noteDamage(problem: string): void {
    if (!this.#isDamaged) this.#options.notify({ kind: 'damaged', problem })
    this.#isDamaged = true
  }

  /** Throws when the file is not the one any more that the hub has opened: a read could end the process. */
  #checkReading(watch: FileWatch): void {
    const problem = watch.indexProblem()
    if (problem !== null) this.#lose(new ProtocolError('store-unavailable', watch.tell(problem)))
    if (this.#lost !== null) throw this.#lost
  }

  #startTidying(): void {
    // The error is not lost: its cause also stops the next append or check, which report it.
    this.prune().catch(() => {})
  }

  /** Sends batch after batch to the writer until no append waits. */
  async #drain(running: Running): Promise<void> {
    await Promise.resolve()
    let flight = this.#send(running)
    while (flight !== null) {
      const { batch, committed } = flight
      const outcome = await committed.catch((error: Error) => error)
      const together = batch.length + this.#waiting.length
      // While the hub writes to readers, the writer had better have the next batch already.
      const next = this.#turnMs > TURN_MS ? this.#send(running) : null
      this.#timeTurn()
      this.#settle(batch, outcome, running.tail)
      if (next === null) await this.#gather(together)
      flight = next ?? this.#send(running)
    }
    this.#draining = null
  }

  #timeTurn(): void {
    const { clocks } = this.#options
    const start = clocks.monotonic()
    setImmediate(() => {
      this.#turnMs = clocks.monotonic() - start
    })
  }

  /**
   * A publisher that was answered often publishes again at once. Together with those who wait that is one batch instead
   * of two that take turns, so the log waits for as many as there were, for a moment: with 50 publishers 34 us of
   * processor time a publication instead of 42.
   */
  async #gather(together: number): Promise<void> {
    const { clocks } = this.#options
    const until = clocks.monotonic() + TURN_MS
    const wanted = together === 1 ? 0 : Math.min(together, BATCH_ENTRIES)
    for (
      let turn = 0;
      turn < GATHER_TURNS && this.#waiting.length < wanted && clocks.monotonic() < until;
      turn++
    ) {
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }

  #send(running: Running): Flight | null {
    const batch = takeBatch(this.#waiting)
    if (batch.length === 0) return null
    const request = { kind: 'commit', batch: pack(batch), now: this.#time.now() } as const
    this.#storeAnchor()
    return { batch, committed: this.#ask(running, request) }
  }

  #settle(batch: readonly Waiting[], outcome: Done | Error, tail: (entry: Entry) => void): void {
    if (outcome instanceof Error) {
      for (const { reject } of batch) reject(outcome)
      return
    }
    this.#latest = outcome
    this.#commits++
    let position = outcome.head - batch.length
    for (const waiting of batch) this.#deliver(waiting, ++position as Position, tail)
    if (!outcome.isTidy) this.#startTidying()
  }

  #deliver({ envelope, resolve, reject }: Waiting, position: Position, tail: (entry: Entry) => void): void {
    this.#delivered = position
    const { id, topics, frame } = envelope
    try {
      tail({ id, topics, private: envelope.private, frame, position })
      resolve()
    } catch (error) {
      reject(error)
    }
  }

  #open(): Running {
    if (this.#running === null) throw new ProtocolError('store-unavailable', 'the log is not open')
    return this.#running
  }
}

/** The part of a rule that may go to another thread: functions may not. */
function limitsOf({ name, perTopic, isApart = false, maxCount, maxAgeMs, maxBytes }: RuleLimits): RuleLimits {
  return { name, perTopic, isApart, maxCount, maxAgeMs, maxBytes }
}

/** The uptime may come in whole seconds, so that a part of it is never twice the same. */
function isSameAnchor(one: Anchor, other: Anchor): boolean {
  return (
    one.boot === other.boot &&
    one.wallOffset === other.wallOffset &&
    Math.abs(one.bootOffset - other.bootOffset) < BOOT_TOLERANCE_MS
  )
}

const BOOT_TOLERANCE_MS = 2000

interface Running {
  readonly lock: HistoryLock
  readonly thread: WriterThread
  readonly reader: SqliteReader
  readonly timer: ReturnType<typeof setInterval>
  readonly tail: (entry: Entry) => void
}

interface Flight {
  readonly batch: readonly Waiting[]
  readonly committed: Promise<Done>
}

const TICK_MS = 1000

/** A checkpoint empties the journal at `JOURNAL_BYTES`: a multiple of that is there because a reader holds it. */
const HELD_JOURNAL_BYTES = 10 * JOURNAL_BYTES

function sizeOfJournal(realPath: string): number {
  return Bun.file(`${realPath}-wal`).size
}

// The next publication after an answer is there after a few turns, unless the publisher is far away.
const GATHER_TURNS = 5
// A turn that takes longer has more to do than answering.
const TURN_MS = 2
