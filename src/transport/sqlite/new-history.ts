import { closeSync, fsyncSync, linkSync, lstatSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** Whether there is nothing at all, not even a link, nor a journal, which would be read into a new file. */
export function isVacant(path: string): boolean {
  const places = [path, `${path}-wal`, `${path}-journal`]
  return places.every((place) => lstatSync(place, { throwIfNoEntry: false }) === undefined)
}

/**
 * Puts a file with these bytes where there is nothing, all at once, for its owner alone: it will hold private updates.
 * It takes no place that another process has taken meanwhile. What goes wrong is left to SQLite, which meets it again
 * and says what it is.
 */
export function placeHistory(path: string, bytes: Uint8Array): void {
  // A random name that is opened only when nothing has it: no file that was there is written to, followed or removed.
  const made = `${path}.new-${crypto.randomUUID()}`
  try {
    const file = openSync(made, 'wx', MODE)
    try {
      for (let offset = 0; offset < bytes.length; ) offset += writeSync(file, bytes, offset)
      fsyncSync(file)
      linkSync(made, path)
    } finally {
      closeSync(file)
      rmSync(made)
    }
  } catch {
    placeEmpty(path)
  }
}

/**
 * How many names the file has, when those are gone that a start left which was killed between two steps: names that only
 * a start gives, of the very same file.
 */
export function countNames(path: string): number {
  const { nlink, ino, dev } = lstatSync(path)
  if (nlink === 1) return nlink
  const folder = dirname(path)
  try {
    for (const name of readdirSync(folder)) {
      if (!name.startsWith(`${basename(path)}.new`)) continue
      const other = lstatSync(join(folder, name))
      if (other.ino === ino && other.dev === dev) rmSync(join(folder, name))
    }
  } catch {
    // A folder that may not be read keeps them.
  }
  return lstatSync(path).nlink
}

/** A file system without links gets an empty file, in which SQLite makes the tables. */
function placeEmpty(path: string): void {
  try {
    closeSync(openSync(path, 'wx', MODE))
  } catch {
    // Opening it goes on without.
  }
}

const MODE = 0o600
