import { Database } from 'bun:sqlite'
import { type Anchor, NEW_ANCHOR } from '../log-clock.ts'
import { isVacant, placeHistory } from './file/new-history.ts'
import { realPath } from './file/real-path.ts'
import { damaged, foreign, refusing } from './refusal.ts'
import { PAGE_BYTES } from './size.ts'

/** Marks a file as a history of this hub: "CNBR" in ASCII. */
const APPLICATION_ID = 0x434e4252

/** The version of the tables. The hub refuses a file with a greater one and migrates one with a smaller one. */
const VERSION = 2

/** The one row about the log as a whole, so that a restart knows its head without reading entries. */
export interface State {
  /** The highest sequence number ever given; zero in a new log. */
  readonly head: number
  readonly headId: string | null
  /** When the hub accepted the head, in milliseconds. */
  readonly headAt: number
  /** The highest sequence number that the limits of the whole dropped: entries that rules dropped leave holes. */
  readonly horizon: number
  readonly count: number
  readonly bytes: number
  /** The highest sequence number up to which all entries are sorted into the rules, whose limits hold. */
  readonly ruledUntil: number
}

/** Selects the row of the state. */
export const SELECT_STATE = 'SELECT head, headId, headAt, horizon, count, bytes, ruledUntil FROM state'

/** Reads the row of the state. Throws a plain Error when it is gone. */
export function readState(database: Database): State {
  const state = database.query<State, []>(SELECT_STATE).get()
  if (state === null) throw new Error('the history file has lost its state')
  return state
}

/** Reads the anchor of the log's time. In a file of an older version the time is that of the wall clock. */
export function readAnchor(database: Database): Anchor {
  if (isOlder(database)) return NEW_ANCHOR
  return database.query<Anchor, []>('SELECT boot, bootOffset, wallOffset FROM state').get() ?? NEW_ANCHOR
}

/** Stores the anchor. */
export const SET_ANCHOR = 'UPDATE state SET boot = ?, bootOffset = ?, wallOffset = ?'

/** Stores an entry. */
export const INSERT_ENTRY =
  'INSERT INTO entry (seq, at, bytes, key, id, private, topics, frame, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'

/** Stores the rule of an entry and, when the rule holds per topic, the topic. */
export const INSERT_RULED = 'INSERT INTO ruled (seq, rule, topic, bytes) VALUES (?, ?, ?, ?)'

/** Remembers the place of entry ?1, which is about to be dropped, at the cost of ?2 bytes. */
export const INSERT_PLACE =
  'INSERT OR REPLACE INTO place (seq, at, bytes, key, id) SELECT seq, at, ?2, key, id FROM entry WHERE seq = ?1'

/**
 * The place of the earliest entry with this id in (after, until], whether the entry is there or a rule dropped it;
 * null when there is none.
 */
export function earliestOf(database: Database): (id: string, after: number, until: number) => number | null {
  const tables = isOlder(database) ? ['entry'] : ['entry', 'place']
  const statements = tables.map((table) =>
    database.prepare<{ found: number }, [number, number, string, number]>(selectEarliest(table)),
  )
  return (id, after, until) => {
    const key = keyOf(id)
    const found = statements.map((one) => one.get(after, until, id, key)?.found ?? Number.POSITIVE_INFINITY)
    const earliest = Math.min(...found)
    return earliest <= until ? earliest : null
  }
}

/** Looks for the first row after ?1 and up to ?2 with the id ?3 and its key ?4, block by block: see `TABLES`. */
function selectEarliest(table: string): string {
  return `
  WITH RECURSIVE block (number) AS (
    SELECT ?1 >> 12 UNION ALL SELECT number + 1 FROM block WHERE number < ?2 >> 12
  )
  SELECT (
    SELECT seq FROM ${table}
    WHERE seq >> 12 = number AND key = ?4 AND id = ?3 AND seq > ?1 ORDER BY seq LIMIT 1
  ) AS found FROM block WHERE found IS NOT NULL LIMIT 1`
}

/** FNV-1a of an id with its bits mixed, 32 bits, signed. The files hold it: never change it. */
export function keyOf(id: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < id.length; index++) hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193)
  return Math.imul(hash ^ (hash >>> 15), 0x85ebca6b)
}

// The frame is last, so that reading the other columns of a large row does not touch its overflow pages.
//
// Ids are random: in one index over all of them, each entry that comes or goes writes a page of its own. So the
// index holds a short key instead of the id, in blocks of 4096 entries: the newest and the oldest block are
// eight pages each. With 100,000 entries kept and batches of 50 that is 47,000 entries per second against
// 10,000; a search takes 90 us against 40. An index ends with the rowid by itself, so that entries with the
// same id are in log order.
//
// A place is the rest of an entry that its rule dropped, found in the same way.
const PLACES = `
  CREATE TABLE place (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    key INTEGER NOT NULL,
    id TEXT NOT NULL
  ) STRICT;
  CREATE INDEX place_key ON place (seq >> 12, key);
`

// The checksum of a row: see `checksum`. It stands behind the frame, and is read with it alone.
const SUM = `
  ALTER TABLE entry ADD COLUMN sum INTEGER;
`

// The relation of the log's time to the clocks of the machine: see `Anchor`.
const ANCHOR = `
  ALTER TABLE state ADD COLUMN boot TEXT;
  ALTER TABLE state ADD COLUMN bootOffset INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE state ADD COLUMN wallOffset INTEGER NOT NULL DEFAULT 0;
`

// The entries of rules are listed in a table of their own, which costs nothing without rules. Programs that delete
// entries need not know of it: a trigger follows them, at a cost too small to measure.
const TABLES = `
  CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    key INTEGER NOT NULL,
    id TEXT NOT NULL,
    private INTEGER NOT NULL,
    topics TEXT NOT NULL,
    frame BLOB NOT NULL
  ) STRICT;
  CREATE INDEX entry_key ON entry (seq >> 12, key);
  CREATE TABLE ruled (
    seq INTEGER PRIMARY KEY,
    rule INTEGER NOT NULL,
    topic TEXT,
    bytes INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX ruled_rule ON ruled (rule);
  CREATE INDEX ruled_topic ON ruled (rule, topic) WHERE topic IS NOT NULL;
  CREATE TRIGGER entry_gone AFTER DELETE ON entry BEGIN
    DELETE FROM ruled WHERE seq = old.seq;
  END;
  CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    head INTEGER NOT NULL,
    headId TEXT,
    headAt INTEGER NOT NULL,
    horizon INTEGER NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    probes INTEGER NOT NULL,
    rules TEXT NOT NULL,
    ruledUntil INTEGER NOT NULL
  ) STRICT;
  INSERT INTO state VALUES (1, 0, NULL, 0, 0, 0, 0, 0, '', 0);
  ${PLACES}
  ${ANCHOR}
  ${SUM}
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${VERSION};
`

/** The changes from each version to the next one, the first from 1. */
const MIGRATIONS: readonly string[] = [PLACES + ANCHOR + SUM]

/**
 * Opens the history at `path` and creates it when there is none. The hub holds `lockHistory` meanwhile.
 * Throws a plain Error that tells the operator what to do.
 */
export function openHistory(path: string, sharing: Sharing = 'shared'): Database {
  return refusing(path, () => {
    makeHistory(path)
    const database = connect(path, sharing)
    try {
      if (isEmpty(database)) create(database)
      // In one view of the file, since a tool opens it while the hub commits.
      database.transaction(() => verify(database, path)).deferred()
      return database
    } catch (error) {
      database.close(true)
      throw error
    }
  })
}

/**
 * Puts an empty history where there is nothing: `create` waits 15 times for the disk, this once. It never fails: a
 * problem shows again when the history is opened.
 */
export function makeHistory(path: string): void {
  const real = realPath(path)
  if (isVacant(real)) placeHistory(real, image())
}

/**
 * Brings the tables of an older version up to this one, all at once. Only the holder of `lockHistory` may call it: a
 * running hub of the older version would not know the new tables. Throws a plain Error as `openHistory` does.
 */
export function migrate(database: Database, path: string): void {
  if (!isOlder(database)) return
  const steps = () => {
    for (const step of MIGRATIONS.slice(versionOf(database) - 1)) database.run(step)
    database.run(`PRAGMA user_version = ${VERSION}`)
  }
  refusing(path, () => database.transaction(steps).immediate())
}

/** Whether the tables are of an older version. */
export function isOlder(database: Database): boolean {
  return versionOf(database) < VERSION
}

/** The longest time that a connection waits for another program that writes, in milliseconds. */
export const BUSY_MS = 5000

/** `alone`: the holder of `lockHistory` may do without an index of the journal on the disk, for which it has no room. */
export type Sharing = 'shared' | 'alone'

/** To be said to a connection before it reads anything. */
export const ALONE = 'PRAGMA locking_mode = EXCLUSIVE'

/** A connection with the settings that every reader and writer of the file shares. */
export function connect(path: string, sharing: Sharing = 'shared'): Database {
  const database = new Database(realPath(path), { create: true, readwrite: true, strict: true })
  try {
    database.run(`PRAGMA busy_timeout = ${BUSY_MS}`)
    if (sharing === 'alone') database.run(ALONE)
    // It reads the file already.
    database.run('PRAGMA cache_size = -2048')
    return database
  } catch (error) {
    database.close(true)
    throw error
  }
}

function isEmpty(database: Database): boolean {
  return count(database, 'SELECT count(*) AS value FROM sqlite_schema') === 0 && applicationId(database) === 0
}

/** The file that `create` makes. */
function image(): Uint8Array {
  const database = new Database(':memory:')
  database.run(`PRAGMA page_size = ${PAGE_BYTES}`)
  database.run('PRAGMA auto_vacuum = INCREMENTAL')
  database.run(TABLES)
  const bytes = database.serialize()
  database.close()
  // Section 1.3.3 of the file format: the versions to write and to read it, where 2 is WAL.
  return bytes.fill(2, 18, 20)
}

/** Page size and vacuum mode only take effect before there are pages; VACUUM applies them to any empty file. */
function create(database: Database): void {
  database.run('PRAGMA journal_mode = DELETE')
  database.run(`PRAGMA page_size = ${PAGE_BYTES}`)
  database.run('PRAGMA auto_vacuum = INCREMENTAL')
  database.run('VACUUM')
  database.run('PRAGMA journal_mode = WAL')
  database.transaction(() => database.run(TABLES)).immediate()
}

function verify(database: Database, path: string): void {
  if (applicationId(database) !== APPLICATION_ID) {
    throw new Error(foreign(path))
  }
  if (versionOf(database) > VERSION) {
    throw new Error(`${path} was written by a newer version of this hub: upgrade, or set sqlite.path`)
  }
  const state = readState(database)
  const oldest = count(database, 'SELECT min(seq) AS value FROM entry')
  const newest = count(database, 'SELECT max(seq) AS value FROM entry')
  const agrees = state.count === 0 ? newest === 0 : newest === state.head || isHole(database, state, newest)
  if (!agrees || (state.count > 0 && oldest <= state.horizon)) throw new Error(damaged(path))
}

/** Whether a rule or a tool dropped the newest entries: then the entries that are left add up. */
function isHole(database: Database, { head, count: kept }: State, newest: number): boolean {
  return newest < head && kept === count(database, 'SELECT count(*) AS value FROM entry')
}

function versionOf(database: Database): number {
  return count(database, 'SELECT user_version AS value FROM pragma_user_version')
}

function applicationId(database: Database): number {
  return count(database, 'SELECT application_id AS value FROM pragma_application_id')
}

function count(database: Database, sql: string): number {
  return database.query<{ value: number | null }, []>(sql).get()?.value ?? 0
}
