import type { Database, Statement } from 'bun:sqlite'
import { exceeds, isExpired, minus, type Retention, toDrop } from '../hub/retention.ts'
import { BUSY_MS, connect, keyOf, SELECT_STATE, type State } from './sqlite-schema.ts'
import { modelBytes, PAGE_BYTES } from './sqlite-size.ts'
import type { Batch, Done, Request } from './sqlite-thread.ts'

/** The history file as its writer sees it. Every method throws what SQLite throws, and then changed nothing. */
export class SqliteStore {
  readonly #retention: Retention
  readonly #database: Database
  readonly #state: Statement<State, []>
  readonly #setState: Statement
  readonly #insert: Statement
  readonly #oldest: Statement<OldEntry, [number]>
  readonly #delete: Statement
  readonly #free: Statement<{ freelist_count: number }, []>
  /** Whether the journal holds anything. */
  #isDirty = true
  #hasFreed = false

  constructor({ path, durability, retention }: Extract<Request, { kind: 'open' }>) {
    const database = connect(path)
    this.#retention = retention
    this.#database = database
    database.run(`PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
    // Only macOS has it: there fsync alone leaves the data in the cache of the disk.
    database.run(`PRAGMA fullfsync = ${durability === 'full' ? 1 : 0}`)
    database.run(`PRAGMA wal_autocheckpoint = ${WAL_PAGES}`)
    database.run(`PRAGMA journal_size_limit = ${WAL_PAGES * PAGE_BYTES}`)
    this.#state = database.prepare(SELECT_STATE)
    this.#setState = database.prepare(
      'UPDATE state SET head = ?, headId = ?, headAt = ?, horizon = ?, count = ?, bytes = ?',
    )
    this.#insert = database.prepare('INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
    this.#oldest = database.prepare('SELECT seq, at, bytes FROM entry ORDER BY seq LIMIT ?')
    this.#delete = database.prepare('DELETE FROM entry WHERE seq <= ?')
    this.#free = database.prepare('PRAGMA freelist_count')
  }

  /** Cuts the past to limits that were lowered since the last time, in small transactions. */
  open(now: number): Done {
    while (exceeds(this.#read(), this.#retention)) {
      this.#write((state) => this.#drop(state, now, DROP_ROUNDS_BY_AGE))
    }
    return this.#done()
  }

  /** Stores the entries of a batch and drops what they push over the limits, in one transaction. */
  commit(batch: Batch, now: number): Done {
    this.#write((state) => this.#drop(this.#add(batch, state, now), now, Number.POSITIVE_INFINITY))
    return this.#done()
  }

  /**
   * One step: some free pages, or some expired entries, or the journal. Room is given back before more is
   * made, so that the file follows what is kept, however much expires at once.
   */
  tidy(now: number, isIdle: boolean): Done {
    if (this.#vacuum(FREE_PAGES_KEPT)) return this.#done(false)
    const oldest = this.#oldest.get(1)
    if (oldest !== null && isExpired(oldest.at, now, this.#retention)) {
      this.#write((state) => this.#drop(state, now, DROP_ROUNDS_BY_AGE))
      return this.#done(false)
    }
    if (isIdle && this.#vacuum(0)) return this.#done(false)
    this.#checkpoint(isIdle)
    return this.#done(true)
  }

  /** Proves that a publish can be stored, by storing something. */
  probe(): Done {
    this.#database.run('UPDATE state SET probes = probes + 1')
    return this.#done()
  }

  /** Empties the journal and lets go of the file. */
  close(): Done {
    const done = this.#done()
    this.#checkpoint(true)
    this.#database.close(true)
    return done
  }

  /** Read inside each transaction: a tool may have changed the file since the last one. */
  #read(): State {
    const state = this.#state.get()
    if (state === null) throw new Error('the state row is gone')
    return state
  }

  #write(change: (state: State) => State): void {
    this.#isDirty = true
    this.#database
      .transaction(() => {
        const { head, headId, headAt, horizon, count, bytes } = change(this.#read())
        this.#setState.run(head, headId, headAt, horizon, count, bytes)
      })
      .immediate()
  }

  #add(batch: Batch, state: State, now: number): State {
    const at = Math.max(state.headAt, now)
    let { head, headId, count, bytes } = state
    let offset = 0
    for (const [index, id] of batch.ids.entries()) {
      const topics = batch.topics[index] ?? '[]'
      const frame = new Uint8Array(batch.frames, offset, batch.frameLengths[index])
      const size = modelBytes(Buffer.byteLength(id), Buffer.byteLength(topics), frame.length)
      offset += frame.length
      this.#insert.run(
        ++head,
        at,
        size,
        keyOf(id),
        id,
        batch.isPrivate[index] === true ? 1 : 0,
        topics,
        frame,
      )
      headId = id
      count++
      bytes += size
    }
    return { ...state, head, headId, headAt: at, count, bytes }
  }

  /** Drops exactly what is over the limits by count and bytes; of what is too old, so many rounds. */
  #drop(state: State, now: number, rounds: number): State {
    let left = state
    for (let round = 1; ; round++) {
      const oldest = this.#oldest.all(DROP_ROWS)
      const dropped = toDrop(oldest, left, now, this.#retention)
      const last = oldest[dropped.count - 1]
      if (last === undefined) return left
      this.#delete.run(last.seq)
      left = { ...left, ...minus(left, dropped), horizon: last.seq }
      const isFinished = dropped.count < oldest.length || round >= rounds
      if (isFinished || (round >= DROP_ROUNDS_BY_AGE && !exceeds(left, this.#retention))) return left
    }
  }

  /** Gives some free pages back when there are more than `kept`; whether it got anywhere. */
  #vacuum(kept: number): boolean {
    const free = this.#freePages()
    if (free <= kept) return false
    this.#isDirty = true
    this.#hasFreed = true
    const step = Math.min(Math.max(VACUUM_PAGES_MIN, free >> 2), VACUUM_PAGES_MAX)
    this.#database.run(`PRAGMA incremental_vacuum(${step})`)
    return this.#freePages() < free
  }

  /** The file only shrinks when the journal is copied into it. It is emptied for good when nothing goes on. */
  #checkpoint(isIdle: boolean): void {
    if (!this.#isDirty || !(isIdle || this.#hasFreed)) return
    this.#hasFreed = false
    if (!isIdle) {
      this.#database.run('PRAGMA wal_checkpoint(PASSIVE)')
      return
    }
    this.#isDirty = !this.#emptyJournal()
  }

  /** Whether nobody held on to it. It would wait for readers, such as an export; the next time is soon enough. */
  #emptyJournal(): boolean {
    this.#database.run('PRAGMA busy_timeout = 0')
    try {
      const result = this.#database.query<{ busy: number }, []>('PRAGMA wal_checkpoint(TRUNCATE)').get()
      return result?.busy === 0
    } finally {
      this.#database.run(`PRAGMA busy_timeout = ${BUSY_MS}`)
    }
  }

  #freePages(): number {
    return this.#free.get()?.freelist_count ?? 0
  }

  #done(isTidy = this.#freePages() <= FREE_PAGES_KEPT): Done {
    const { head, count, bytes } = this.#read()
    return { kind: 'done', head, count, bytes, oldestAt: this.#oldest.get(1)?.at ?? null, isTidy }
  }
}

// A checkpoint follows the commit that brings the journal to 3 MiB.
const WAL_PAGES = (3 << 20) / PAGE_BYTES

// Up to 1 MiB of free pages serves the next entries. More goes back, in steps of 1 to 6 ms.
const FREE_PAGES_KEPT = 128
const VACUUM_PAGES_MIN = 64
const VACUUM_PAGES_MAX = 256

// Old entries are looked at and deleted this many at a time, and by age alone at most so many times in one
// transaction: deleting 512 rows takes about 2 ms.
const DROP_ROWS = 128
const DROP_ROUNDS_BY_AGE = 4

interface OldEntry {
  readonly seq: number
  readonly at: number
  readonly bytes: number
}
