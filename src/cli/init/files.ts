import { closeSync, fchmodSync, fchownSync, lstatSync, openSync, rmSync, writeSync } from 'node:fs'
import { CommandFailure } from '../../command/command.ts'
import { reasonOf } from '../../command/failure.ts'
import { quoted } from '../../command/printable.ts'

/** A file that the command makes. */
export interface NewFile {
  readonly path: string
  readonly text: string
  /** The rights of owner, group and others. */
  readonly mode: number
  /** The group that it belongs to; null: that of the user. */
  readonly gid: number | null
}

/** Writes all of the files, or none: no file that is there is replaced or followed. Throws a CommandFailure. */
export function writeFiles(files: readonly NewFile[]): void {
  const taken = files.filter(({ path }) => lstatSync(path, { throwIfNoEntry: false }) !== undefined)
  if (taken.length > 0) {
    const names = taken.map(({ path }) => path).join(', ')
    throw new CommandFailure(`nothing is written, since this is there already: ${names}`)
  }
  const made: string[] = []
  try {
    for (const file of files) write(file, made)
  } catch (error) {
    for (const path of made) rmSync(path, { force: true })
    const path = files[made.length]?.path ?? files.at(-1)?.path
    throw new CommandFailure(`${path} cannot be written: ${reasonOf(error)}`)
  }
}

/** Others may never read a key, also not for a moment: the file has its rights before it has its text. */
function write({ path, text, mode, gid }: NewFile, made: string[]): void {
  const descriptor = openSync(path, 'wx', 0o600)
  try {
    if (gid !== null) fchownSync(descriptor, process.geteuid?.() ?? 0, gid)
    fchmodSync(descriptor, mode)
    writeSync(descriptor, text)
    made.push(path)
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  } finally {
    closeSync(descriptor)
  }
}

/** The number of a group of this machine. Throws a CommandFailure. */
export function groupId(name: string, readFile: (path: string) => string): number {
  const line = attempt(() => readFile('/etc/group'))
    .split('\n')
    .find((each) => each.startsWith(`${name}:`))
  const gid = /^[^:]*:[^:]*:(\d+):/.exec(line ?? '')?.[1]
  if (gid === undefined) throw new CommandFailure(`there is no group ${quoted(name)} on this machine`)
  return Number(gid)
}

function attempt(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
