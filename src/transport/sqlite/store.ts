import type { Database, Statement } from 'bun:sqlite'
import type { Anchor } from '../log-clock.ts'
import { type Amount, exceeds, isExpired, type Kept, type Limits, minus, plus, toDrop } from '../retention.ts'
import { checksum } from './checksum.ts'
import { Gaps } from './gaps.ts'
import { PlaceTable } from './places.ts'
import { codeOf } from './refusal.ts'
import { Room } from './room.ts'
import { type Member, RuledEntries } from './ruled.ts'
import { connect, INSERT_ENTRY, keyOf, SELECT_STATE, SET_ANCHOR, type State } from './schema.ts'
import { modelBytes, PAGE_BYTES, RULED_BYTES } from './size.ts'
import type { Batch, Done, Request } from './thread.ts'

/** The history file as its writer sees it. Every method throws what SQLite throws, and then changed nothing. */
export class SqliteStore {
  readonly #limits: Limits
  readonly #room: Room
  readonly #gaps: Gaps
  readonly #places: PlaceTable
  readonly #ruled: RuledEntries
  readonly #database: Database
  readonly #state: Statement<State, []>
  readonly #setState: Statement
  readonly #insert: Statement
  readonly #oldest: Statement<FrontRow, [number]>
  readonly #oldestWithPlaces: Statement<FrontRow, [number]>
  readonly #delete: Statement
  readonly #version: Statement<{ data_version: number }, []>
  #seenVersion = 0

  constructor({ path, durability, limits, rules }: StoreOptions) {
    const database = connect(path)
    this.#limits = limits
    this.#database = database
    this.#gaps = new Gaps(database)
    this.#places = new PlaceTable(database, limits)
    this.#ruled = new RuledEntries(database, rules, { whole: limits, gaps: this.#gaps, places: this.#places })
    database.run(`PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
    // Only macOS has it: there fsync alone leaves the data in the cache of the disk.
    database.run(`PRAGMA fullfsync = ${durability === 'full' ? 1 : 0}`)
    this.#room = new Room(database)
    this.#state = database.prepare(SELECT_STATE)
    this.#setState = database.prepare(
      'UPDATE state SET head = ?1, headId = ?, headAt = ?, horizon = ?, count = ?, bytes = ?, ruledUntil = ?1',
    )
    this.#insert = database.prepare(INSERT_ENTRY)
    const entries = `SELECT entry.seq AS seq, at, entry.bytes AS bytes, rule, topic, 0 AS isPlace
      FROM entry LEFT JOIN ruled ON ruled.seq = entry.seq`
    this.#oldest = database.prepare(`${entries} ORDER BY entry.seq LIMIT ?`)
    this.#oldestWithPlaces = database.prepare(
      `${entries} UNION ALL SELECT seq, at, bytes, NULL, NULL, 1 FROM place ORDER BY 1 LIMIT ?`,
    )
    this.#version = database.prepare('PRAGMA data_version')
    this.#delete = database.prepare('DELETE FROM entry WHERE seq <= ?')
  }

  /**
   * Proves that the file can be written, by storing the anchor of the log's time, and cuts the past to limits that were
   * lowered since the last time, in small transactions. A full disk may become less full, and another program that
   * writes now will be done: neither keeps a hub from serving the past.
   */
  open(now: number, anchor: Anchor): Done {
    try {
      this.anchor(anchor)
    } catch (error) {
      if (!/^SQLITE_(FULL|BUSY)/.test(codeOf(error))) throw error
    }
    if (this.#places.isOver) this.#write((state) => this.#cutPlaces(state))
    if (!this.#ruled.isEmpty) this.#openRules(now)
    while (this.#isOver(this.#read())) {
      this.#write((state) => this.#drop(state, now, DROP_ROUNDS_BY_AGE))
    }
    return this.#done()
  }

  /**
   * Stores the entries of a batch and drops those that they push over the limits, in one transaction. With rules the
   * order of the drops matters, so entries that are too old go in transactions before it.
   */
  commit(batch: Batch, now: number): Done {
    if (!this.#ruled.isEmpty) this.#expireAll(now)
    this.#write((state) => this.#drop(this.#add(batch, state, now), now, Number.POSITIVE_INFINITY))
    return this.#done()
  }

  /**
   * One step: some free pages, or some expired entries, or the journal. The store gives room back before it makes
   * more, so that the file follows the kept entries, also when many expire at once.
   */
  tidy(now: number, isIdle: boolean): Done {
    this.#noticeOthers()
    if (this.#room.vacuum(false)) return this.#done(false)
    // A tool has dropped entries beside the hub.
    if (this.#places.isOver) this.#write((state) => this.#cutPlaces(state))
    if (this.#expire(now)) return this.#done(false)
    if (this.#gaps.isDue(this.#read().bytes)) {
      this.#write((state) => this.#closeGaps(state))
      return this.#done(false)
    }
    if (isIdle && this.#room.vacuum(true)) return this.#done(false)
    this.#room.checkpoint(isIdle)
    return this.#done(true)
  }

  /** Stores the anchor of the log's time. */
  anchor({ boot, bootOffset, wallOffset }: Anchor): Done {
    this.#database.query(SET_ANCHOR).run(boot, bootOffset, wallOffset)
    return this.#done()
  }

  /** The least length of the journal by its index, in bytes; infinite when SQLite cannot say. */
  get journalBytesMin(): number {
    try {
      const { log } = this.#database.query<{ log: number }, []>('PRAGMA wal_checkpoint(NOOP)').get() ?? {
        log: 0,
      }
      return log <= 0 ? 0 : JOURNAL_HEADER_BYTES + log * (FRAME_HEADER_BYTES + PAGE_BYTES)
    } catch {
      return Number.POSITIVE_INFINITY
    }
  }

  /** Proves that a publish can be stored, by storing something. */
  probe(): Done {
    this.#database.run('UPDATE state SET probes = probes + 1')
    return this.#done()
  }

  /** Empties the journal and lets go of the file. */
  close(): Done {
    const done = this.#done()
    this.#room.checkpoint(true)
    this.#database.close(true)
    return done
  }

  /** Reads the state inside each transaction: a tool may have changed the file since the last one. */
  #read(): State {
    const state = this.#state.get()
    if (state === null) throw new Error('the state row is gone')
    return state
  }

  #write(change: (state: State) => State): void {
    this.#room.markDirty()
    try {
      this.#database.transaction(() => this.#change(change)).immediate()
    } catch (error) {
      this.#forget()
      throw error
    }
  }

  #change(change: (state: State) => State): void {
    this.#noticeOthers()
    const { head, headId, headAt, horizon, count, bytes } = change(this.#read())
    this.#setState.run(head, headId, headAt, horizon, count, bytes)
  }

  #noticeOthers(): void {
    // The version is another one when another program has changed the file since.
    const version = this.#version.get()?.data_version ?? 0
    if (version !== this.#seenVersion) this.#forget()
    this.#seenVersion = version
  }

  #forget(): void {
    this.#ruled.forget()
    this.#places.recount()
  }

  /** Whether the entries with the places between them are over the limits by count and bytes. */
  #isOver(state: State): boolean {
    return exceeds(this.#counted(state), this.#limits)
  }

  /** The amount that counts against the limits of the whole: without entries that have room of their own. */
  #counted(state: State): Amount {
    return minus(this.#held(state), this.#ruled.apart)
  }

  #held({ count, bytes }: State): Amount {
    return { count, bytes: bytes + this.#places.held.bytes }
  }

  /** Cuts every group once more, since entries were sorted anew, or limits are new. */
  #openRules(now: number): void {
    const state = this.#read()
    const { head, ruledUntil } = state
    this.#gaps.estimate(this.#held(state).bytes)
    this.#expireAll(now)
    if (ruledUntil === head) return
    for (const group of this.#ruled.groups()) {
      while (this.#ruled.isOver(group)) this.#write((state) => without(state, this.#ruled.cutSome(group)))
    }
    this.#write((state) => state)
  }

  #expireAll(now: number): void {
    while (this.#expire(now)) this.#room.vacuum(false)
  }

  /** Drops some entries that are too old: by the rules first, see `endsByAge`. Answers whether there was any. */
  #expire(now: number): boolean {
    const head = this.#oldest.get(1)
    if (this.#ruled.mayExpire(now)) {
      this.#write((state) => without(state, this.#ruled.expire(now)))
    } else if ((head !== null && isExpired(head.at, now, this.#limits)) || this.#places.mayExpire(now)) {
      this.#write((state) => this.#drop(state, now, DROP_ROUNDS_BY_AGE))
    } else {
      return false
    }
    return true
  }

  #cutPlaces(state: State): State {
    this.#places.cut()
    return state
  }

  #closeGaps(state: State): State {
    this.#gaps.close(state.head)
    return state
  }

  #add(batch: Batch, before: State, now: number): State {
    let state: State = { ...before, headAt: Math.max(before.headAt, now) }
    let offset = 0
    for (const [index, id] of batch.ids.entries()) {
      const frame = new Uint8Array(batch.frames, offset, batch.frameLengths[index])
      offset += frame.length
      const topics = batch.topics[index] ?? '[]'
      const rule = batch.rules[index] ?? null
      const member = rule === null ? null : this.#ruled.member(rule, topics)
      state = this.#store({ id, topics, isPrivate: batch.isPrivate[index] === true, frame, member }, state)
      // Without rules the order does not matter: the store drops everything from the front, at the end.
      if (!this.#ruled.isEmpty) state = this.#cut(member, state, now)
    }
    return state
  }

  #store({ id, topics, isPrivate, frame, member }: NewEntry, state: State): State {
    const head = state.head + 1
    const size = modelBytes(Buffer.byteLength(id), Buffer.byteLength(topics), frame.length)
    const bytes = member === null ? size : size + RULED_BYTES
    const row = { seq: head, id, private: isPrivate ? 1 : 0, topics }
    const sum = checksum(row, frame)
    this.#insert.run(head, state.headAt, bytes, keyOf(id), id, row.private, topics, frame, sum)
    if (member !== null) this.#ruled.add(head, member, bytes)
    return { ...state, ...plus(state, { bytes }), head, headId: id }
  }

  /** Drops the entries that one entry pushed over the limits: first over those of its rule, then of the whole. */
  #cut(member: Member | null, state: State, now: number): State {
    const left = member === null ? state : without(state, this.#ruled.cut(member))
    return this.#isOver(left) ? this.#drop(left, now, Number.POSITIVE_INFINITY, 1) : left
  }

  /** Drops exactly the entries over the limits by count and bytes, and in `rounds` rounds at most those too old. */
  #drop(state: State, now: number, rounds: number, rows = DROP_ROWS): State {
    let left = state
    for (let round = 1; ; round++) {
      // Nearly always there are no places.
      const front = this.#places.held.count === 0 ? this.#oldest : this.#oldestWithPlaces
      const oldest = front.all(rows)
      const dropped = toDrop(
        oldest.map((row) => this.#toKept(row)),
        this.#counted(left),
        now,
        this.#limits,
      )
      if (dropped.count === 0) return left
      left = this.#dropFront(oldest.slice(0, dropped.count), left)
      const isFinished = dropped.count < oldest.length || round >= rounds
      if (isFinished || (round >= DROP_ROUNDS_BY_AGE && !this.#isOver(left))) return left
    }
  }

  /** Drops entries and places from the front: all that stand before the next one. */
  #dropFront(gone: readonly FrontRow[], state: State): State {
    const until = gone.at(-1)?.seq ?? 0
    const entries = gone.filter(({ isPlace }) => isPlace === 0)
    if (entries.length < gone.length) {
      this.#places.forgetUntil(until, amountOf(gone.filter(({ isPlace }) => isPlace === 1)))
    }
    const last = entries.at(-1)
    // Forgetting a place loses no entry.
    if (last === undefined) return state
    this.#delete.run(until)
    for (const { rule, topic, bytes } of entries) {
      if (rule !== null) this.#ruled.remove({ rule, topic }, bytes)
    }
    return { ...without(state, amountOf(entries)), horizon: last.seq }
  }

  #toKept({ at, bytes, rule, isPlace }: FrontRow): Kept {
    return { at, bytes, isPlace: isPlace === 1, isApart: rule !== null && this.#ruled.isApart(rule) }
  }

  #isTidy(bytes: number): boolean {
    return this.#room.isTidy && !this.#gaps.isDue(bytes)
  }

  #done(isTidy: boolean | null = null): Done {
    const state = this.#read()
    const { head, count } = state
    const { bytes } = this.#held(state)
    const rules = this.#ruled.amounts
    return {
      kind: 'done',
      head,
      count,
      bytes,
      oldestAt: this.#oldest.get(1)?.at ?? null,
      rules,
      places: this.#places.held.count,
      isTidy: isTidy ?? this.#isTidy(bytes),
    }
  }
}

// The SQLite file format, section 4.1.
const JOURNAL_HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24

// The number of old entries that the store looks at and deletes at a time, and the most rounds by age alone in one
// transaction: deleting 512 rows takes about 2 ms.
const DROP_ROWS = 128
const DROP_ROUNDS_BY_AGE = 4

/** The place of the history, and the limits of the past. */
export type StoreOptions = Pick<
  Extract<Request, { kind: 'open' }>,
  'path' | 'durability' | 'limits' | 'rules'
>

/** An entry at the front of the log, or a place. */
interface FrontRow {
  readonly seq: number
  readonly at: number
  readonly bytes: number
  readonly rule: number | null
  readonly topic: string | null
  readonly isPlace: 0 | 1
}

interface NewEntry {
  readonly id: string
  readonly topics: string
  readonly isPrivate: boolean
  readonly frame: Uint8Array
  readonly member: Member | null
}

function without(state: State, dropped: Amount): State {
  return { ...state, ...minus(state, dropped) }
}

function amountOf(rows: readonly FrontRow[]): Amount {
  return rows.reduce(plus, { count: 0, bytes: 0 })
}
