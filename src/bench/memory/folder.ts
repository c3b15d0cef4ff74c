import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CommandFailure } from '../../command/command.ts'

/** A new folder for histories that nobody keeps. Only its owner may look into it. */
export class HistoryFolder {
  readonly #path: string

  /** Throws a `CommandFailure` when no folder can be made in `parent`. */
  constructor(parent: string) {
    try {
      this.#path = mkdtempSync(join(parent, 'cinnabar-bench-'))
    } catch (cause) {
      throw new CommandFailure(`nothing can be written in ${parent}`, { cause })
    }
  }

  /** The path of a file in it, which need not be there. */
  pathOf(file: string): string {
    return join(this.#path, file)
  }

  /** Writes a file that only its owner may read, and answers with its path. */
  add(file: string, content: string): string {
    writeFileSync(this.pathOf(file), content, { mode: 0o600 })
    return this.pathOf(file)
  }

  /** Removes the folder with all that is in it. Synchronous, so that a process can do it when it ends. */
  remove(): void {
    rmSync(this.#path, { recursive: true, force: true })
  }
}
