import { closeSync, fsyncSync, linkSync, lstatSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** Whether there is nothing at all, not even a link, nor a journal, which SQLite would read into a new file. */
export function isVacant(path: string): boolean {
  const places = [path, `${path}-wal`, `${path}-journal`]
  return places.every((place) => lstatSync(place, { throwIfNoEntry: false }) === undefined)
}

/**
 * Puts a file with these bytes where there is nothing, all at once, for its owner alone: it will hold private updates.
 * It takes no place that another process has taken meanwhile. It leaves problems to SQLite, which meets them again and
 * says what they are.
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
 * The number of names of the file, after removing those that a start left behind which was killed between two steps:
 * names that only a start gives, of the very same file.
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
    // A folder that this user may not read keeps these names.
  }
  return lstatSync(path).nlink
}

/** A file system without links gets an empty file, in which SQLite makes the tables. */
function placeEmpty(path: string): void {
  try {
    closeSync(openSync(path, 'wx', MODE))
  } catch {
    // SQLite opens the history without it.
  }
}

const MODE = 0o600
