import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import type { DevKeys, KnownHub } from '../config/dev.ts'

/**
 * The file that the hubs of `--dev` in one folder share: the key that signs their tokens, and the place of the hub that
 * started last. It is for its owner alone, and lives as long as nobody removes it, so that a token outlives a
 * restart and `cinnabar token --dev` makes tokens that the hub accepts.
 *
 * Others may be able to write to the folder. So the hub makes a file only where there is none, and believes one that is
 * there only when it is a plain file of this user that nobody else may read. It follows no links.
 */
export class DevFile {
  readonly #path: string
  readonly #random: () => string

  /** `random` makes names and keys that nobody guesses, of 32 characters or more. */
  constructor(path: string, random: () => string) {
    this.#path = path
    this.#random = random
  }

  /** The keys, and where the hub is. Throws a plain Error that says why there are none. */
  read(): DevKeys {
    const content = this.#content()
    if (content !== null) return parse(content, this.#path)
    throw new Error('there are no keys of a --dev hub in this folder; start one here: cinnabar serve --dev')
  }

  /** The keys, which are made when there are none. Throws a plain Error that says why that cannot be. */
  open(): DevKeys {
    if (this.#content() === null) this.#make()
    return { ...this.read(), hub: null }
  }

  /** The same keys as `open`, and where the folder can keep none, new ones for this run alone, with the reason. */
  openForRun(): { readonly keys: DevKeys; readonly problem: string | null } {
    try {
      return { keys: this.open(), problem: null }
    } catch (error) {
      const [publisher, problem] = [this.#random(), error instanceof Error ? error.message : String(error)]
      return { keys: { publisher, subscriber: publisher }, problem }
    }
  }

  /** Writes down where the hub is. Answers whether it could. */
  record(hub: KnownHub): boolean {
    try {
      this.#write({ key: this.read().publisher, hub }, (made) => renameSync(made, this.#path))
      return true
    } catch {
      return false
    }
  }

  #make(): void {
    try {
      // A link, and not a renamed file: another hub may have made the file by now, and both hubs share one.
      this.#write({ key: this.#random() }, (made) => linkSync(made, this.#path))
    } catch (error) {
      const code = codeOf(error)
      if (code !== 'EEXIST') throw new Error(`${this.#path} cannot be written (${code})`)
    }
  }

  #content(): string | null {
    let descriptor: number
    try {
      // Without blocking: opening a named pipe would wait for its writer.
      descriptor = openSync(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT') return null
      throw new Error(`${this.#path} ${code === 'ELOOP' ? 'is a symbolic link' : `cannot be read (${code})`}`)
    }
    try {
      const stats = fstatSync(descriptor)
      const problem = problemOf(stats, stats.isFile())
      if (problem !== null) throw new Error(`${this.#path} ${problem}; remove it`)
      const bytes = Buffer.alloc(SIZE_MAX)
      return bytes.toString('utf8', 0, readSync(descriptor, bytes))
    } finally {
      closeSync(descriptor)
    }
  }

  /** Writes a new file in the same folder under a name that nobody knows, and lets `put` move it to its place. */
  #write(content: object, put: (made: string) => void): void {
    const made = `${this.#path}.${this.#random()}`
    const descriptor = openSync(made, 'wx', 0o600)
    try {
      writeSync(descriptor, `${JSON.stringify(content)}\n`)
      put(made)
    } finally {
      closeSync(descriptor)
      remove(made)
    }
  }
}

function problemOf({ uid, mode }: { uid: number; mode: number }, isFile: boolean): string | null {
  if (!isFile) return 'is no plain file'
  if (uid !== process.geteuid?.()) return 'belongs to another user'
  return (mode & 0o077) === 0 ? null : 'may be read or written by others'
}

function parse(content: string, path: string): DevKeys {
  const value = parsed(content)
  const key = textOf(value, 'key')
  if (key === null || key.length < KEY_LENGTH_MIN) throw new Error(`${path} holds no key; remove it`)
  const hub = isObject(value) ? value['hub'] : null
  const [url, issuer, audience] = [textOf(hub, 'url'), textOf(hub, 'issuer'), textOf(hub, 'audience')]
  const isWhole = url !== null && URL.canParse(url) && issuer !== null && audience !== null
  return { publisher: key, subscriber: key, hub: isWhole ? { url, issuer, audience } : null }
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    return null
  }
}

function textOf(value: unknown, name: string): string | null {
  const member = isObject(value) ? value[name] : null
  return typeof member === 'string' && member !== '' ? member : null
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** Removes the new file under its first name, whether `put` gave it its place or not. */
function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // A file that was renamed is gone from here.
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}

const SIZE_MAX = 4096
const KEY_LENGTH_MIN = 32
