import { Database } from 'bun:sqlite'
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'
import { realPath } from '../transport/sqlite/file/real-path.ts'
import { opened, refuseMissing, using } from './file.ts'

/** Runs the action on a file that may be damaged, without changing a byte of it. Throws HistoryProblem. */
export async function rescuing<T>(path: string, action: (database: Database) => Promise<T>): Promise<T> {
  refuseMissing(path)
  // The journal is beside the file and not beside a link to it.
  const real = realPath(path)
  const missing = missingBytes(real)
  if (missing === 0) return await using(path, () => opened(openReadOnly(real)), action)
  const folder = mkdtempSync(`${real}.salvage-`)
  try {
    const copy = lengthened(real, missing, folder)
    return await using(path, () => opened(openReadOnly(copy)), action)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function openReadOnly(path: string): Database {
  return new Database(path, { readonly: true, strict: true })
}

/** SQLite reads nothing of a file that is shorter than its header says, so a copy makes up the missing bytes. */
function lengthened(path: string, missing: number, folder: string): string {
  const copy = join(folder, 'history')
  copyFileSync(path, copy)
  if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`)
  truncateSync(copy, Bun.file(path).size + missing)
  return copy
}

/** The SQLite file format, section 1.3: the page size is at 16, the number of pages at 28. */
function missingBytes(path: string): number {
  const header = Buffer.alloc(HEADER_BYTES)
  const file = openSync(path, 'r')
  try {
    if (readSync(file, header) < HEADER_BYTES) return 0
  } finally {
    closeSync(file)
  }
  if (header.subarray(0, MAGIC.length).toString() !== MAGIC) return 0
  const pageBytes = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16)
  const missing = header.readUInt32BE(28) * pageBytes - Bun.file(path).size
  // A nonsensical header must not ask for terabytes.
  return missing > 0 && missing <= MISSING_MAX ? missing : 0
}

const HEADER_BYTES = 100
const MAGIC = 'SQLite format 3\0'

// The missing bytes are a hole in the copy and take no room.
const MISSING_MAX = 2 ** 40
