import { closeSync, fsyncSync, linkSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { isVacant } from '../transport/sqlite/file/new-history.ts'
import { type Copied, copyHistory } from './copy.ts'
import { HistoryProblem, reading } from './file.ts'
import { entries } from './pages.ts'

/** A backup of a history. */
export interface Backup extends Copied {
  /** The number of entries in it, each of which was read and held against its checksum. */
  readonly count: number
}

/**
 * Writes the history as it is at one moment into a new file, for its owner alone, and on disk before it has its name.
 * A hub may be running. The file has another name until it is whole and was read back, so that what has the name is
 * a backup, whenever the command was ended. Throws HistoryProblem, and then there is no new file.
 */
export async function backUpHistory(path: string, target: string): Promise<Backup> {
  if (!isVacant(target)) throw new HistoryProblem(`${target} is there already: a backup replaces no file`)
  const made = `${target}.new-${crypto.randomUUID()}`
  try {
    const copied = await naming(made, target, () => copyHistory(path, made))
    const count = await naming(made, path, () =>
      reading(made, (copy) => entries(copy, 0, Number.MAX_SAFE_INTEGER).reduce(counted, 0)),
    )
    place(made, target)
    return { ...copied, count }
  } finally {
    for (const name of [made, `${made}-wal`, `${made}-shm`]) rmSync(name, { force: true })
  }
}

/** Lets a problem speak of a file that the operator knows: damage in the copy is damage of the history. */
async function naming<T>(made: string, known: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (!(error instanceof HistoryProblem)) throw error
    throw new HistoryProblem(error.message.replaceAll(made, known), { cause: error })
  }
}

function counted(count: number, page: readonly unknown[]): number {
  return count + page.length
}

/** Gives the file its name where nothing has it, and waits for the disk. */
function place(made: string, target: string): void {
  try {
    synchronize(made)
    linkSync(made, target)
    synchronize(dirname(target))
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    throw new HistoryProblem(`${target} cannot be made: ${code}`, { cause })
  }
}

function synchronize(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
