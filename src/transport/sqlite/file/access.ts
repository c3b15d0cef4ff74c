import { accessSync, constants, type Stats, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { realPath } from './real-path.ts'

/**
 * Names the file that a hub has to write and this user may not write, the reason, and a remedy; null when the user may
 * write all that are there. SQLite alone would open the history for reading and fail at the first publication.
 */
export function findForbidden(path: string): string | null {
  const real = realPath(path)
  const files = [real, `${real}-wal`, `${real}-shm`, `${real}.lock`]
  // The directory comes first: where this user may not enter it, nothing in it can be looked at.
  for (const file of [dirname(real), ...files]) {
    const reason = explain(file)
    if (reason !== null) return reason
  }
  return null
}

function explain(path: string): string | null {
  const code = refusalOf(path)
  if (code === null || code === 'ENOENT') return null
  const stat = look(path)
  if (stat === null) return `this user may not enter a directory on the way to ${path}`
  const name = stat.isDirectory() ? `the directory ${path}` : basename(path)
  if (code === 'EROFS') return `${name} is on a file system that is mounted read-only`
  const user = process.getuid?.() ?? null
  if (user === null || stat.uid === user || user === 0)
    return `${name} may not be written: change its mode or attributes`
  const ways = 'chown it, run as that user, or set sqlite.path'
  return `${name} belongs to user ${stat.uid} and this is user ${user}: ${ways}`
}

function look(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

/** The code with which the system refuses, or null. */
function refusalOf(path: string): string | null {
  try {
    accessSync(path, constants.W_OK)
    return null
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  }
}
