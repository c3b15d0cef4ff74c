import { statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { CommandFailure, type CommandIo, randomText } from '../../command/command.ts'
import { reasonOf } from '../../command/failure.ts'
import { isJsonObject } from '../../protocol/grant.ts'
import type { NewFile } from './files.ts'

/**
 * The shared secrets that a configuration names and that are not there yet, in its order. `gid`: the group that may read
 * them; null leaves them to their owner, or to the group of a folder that hands its own on. Throws a CommandFailure for a
 * file that cannot be read, and for one that names a key which no random text can be.
 */
export function missingKeys(file: string, gid: number | null, io: CommandIo): readonly NewFile[] {
  const made = new Map<string, NewFile>()
  for (const { keyFile, algorithm, place } of keysIn(file, io)) {
    const path = resolve(dirname(file), keyFile)
    if (io.exists(path) || made.has(path)) continue
    if (!algorithm.startsWith('HS')) {
      throw new CommandFailure(
        `nothing is written: ${place} is a public key (${algorithm}): put it into ${path} yourself`,
      )
    }
    const isShared = gid !== null || handsItsGroupOn(dirname(path))
    made.set(path, { path, text: `${randomText(64, io)}\n`, mode: isShared ? 0o640 : 0o600, gid })
  }
  return [...made.values()]
}

interface KeyFile {
  readonly keyFile: string
  readonly algorithm: string
  readonly place: string
}

function keysIn(file: string, { readFile }: CommandIo): readonly KeyFile[] {
  let document: unknown
  try {
    document = Bun.TOML.parse(readFile(file))
  } catch (error) {
    throw new CommandFailure(`${file}: ${error instanceof SyntaxError ? 'is not TOML' : reasonOf(error)}`)
  }
  const issuers = isJsonObject(document) ? document['issuers'] : null
  return (Array.isArray(issuers) ? issuers : []).flatMap((issuer, index) =>
    ['publisher', 'subscriber'].flatMap((role) => {
      const held = isJsonObject(issuer) ? issuer[role] : null
      const keyFile = isJsonObject(held) ? held['key_file'] : null
      if (!isJsonObject(held) || typeof keyFile !== 'string') return []
      return [
        { keyFile, algorithm: String(held['algorithm'] ?? ''), place: `issuers[${index}].${role}.key_file` },
      ]
    }),
  )
}

/** Whether files that are made in the folder belong to its group. */
function handsItsGroupOn(folder: string): boolean {
  try {
    return (statSync(folder).mode & SET_GROUP) !== 0
  } catch {
    return false
  }
}

const SET_GROUP = 0o2000
