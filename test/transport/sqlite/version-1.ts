import { Database } from 'bun:sqlite'
import type { Envelope } from '../../../src/protocol/update.ts'
import { keyOf } from '../../../src/transport/sqlite/schema.ts'
import { storedBytes } from '../../../src/transport/sqlite/size.ts'

/** Makes a history as version 1 of the tables was, with these entries accepted at that time in milliseconds. */
export function writeVersion1(path: string, entries: readonly Envelope[], at = 0): void {
  const database = new Database(path, { create: true, readwrite: true, strict: true })
  database.run('PRAGMA page_size = 8192')
  database.run('PRAGMA auto_vacuum = INCREMENTAL')
  database.run('PRAGMA journal_mode = WAL')
  database.run(TABLES)
  const insert = database.prepare('INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
  let bytes = 0
  for (const [index, one] of entries.entries()) {
    const { id, topics, frame } = one
    const size = storedBytes(one)
    bytes += size
    insert.run(index + 1, at, size, keyOf(id), id, one.private ? 1 : 0, JSON.stringify(topics), frame)
  }
  const headId = entries.at(-1)?.id ?? null
  database
    .prepare('UPDATE state SET head = ?, headId = ?, headAt = ?, count = ?, bytes = ?')
    .run(entries.length, headId, at, entries.length, bytes)
  database.close(true)
}

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
  PRAGMA application_id = 0x434e4252;
  PRAGMA user_version = 1;
`
