import type { CommandLine } from '../../command/arguments.ts'
import { CommandFailure, type CommandIo, type ExitCode, readInput } from '../../command/command.ts'
import { countText } from '../../command/quantity.ts'
import { type Importing, importHistory, type NewEntry } from '../../history/import.ts'
import { parseLine, WrongLine } from '../../history/line.ts'
import { linesOf } from './text-file.ts'
import { runOnHistory, settingsUsage } from './tool.ts'

const line: CommandLine = {
  name: 'history import',
  usage: `FILE ${settingsUsage}`,
  summary: `Stores lines of cinnabar history export at the end of the history, which is made when there is none. FILE
- reads standard input. No hub may be running. Lines are stored in batches, all of a batch or nothing. The
next hub that starts drops what is over its limits.`,
  options: [],
  hasSettings: true,
  positionals: { min: 1, max: 1 },
}

/** `cinnabar history import`. */
export function runHistoryImport(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runOnHistory(line, argv, io, async ({ args, path }) => {
    const [source = ''] = args.positionals
    const lines = source === '-' ? (await readInput(io)).split('\n') : linesOf(source)
    const stored = await importHistory(path, (importing) => new Batches(importing).store(lines))
    io.stdout(`imported ${countText(stored, 'entry', 'entries')}\n`)
    return 0
  })
}

/** Gathers lines into batches. A wrong line ends the import, and its batch is not stored. */
class Batches {
  readonly #importing: Importing
  #batch: NewEntry[] = []
  #bytes = 0
  #newestAt: number
  #stored = 0
  #storedLine = 0

  constructor(importing: Importing) {
    this.#importing = importing
    this.#newestAt = importing.newestAt
  }

  /** How many entries there were. */
  async store(lines: AsyncIterable<string> | Iterable<string>): Promise<number> {
    let number = 0
    for await (const text of lines) {
      number++
      if (text.trim() === '') continue
      this.#add(text, number)
      if (this.#batch.length >= BATCH_ENTRIES || this.#bytes >= BATCH_BYTES) this.#flush(number)
    }
    this.#flush(number)
    return this.#stored
  }

  #add(text: string, number: number): void {
    try {
      const entry = parseLine(text)
      if (entry.at < this.#newestAt) throw new WrongLine('is older than the entry before it')
      this.#newestAt = entry.at
      this.#batch.push(entry)
      this.#bytes += entry.frame.length
    } catch (error) {
      if (!(error instanceof WrongLine)) throw error
      throw new CommandFailure(`line ${number} ${error.message}; ${this.#progress()}`)
    }
  }

  #flush(number: number): void {
    this.#importing.append(this.#batch)
    this.#stored += this.#batch.length
    this.#storedLine = number
    this.#batch = []
    this.#bytes = 0
  }

  #progress(): string {
    return this.#stored === 0 ? 'nothing was stored' : `the lines up to ${this.#storedLine} are stored`
  }
}

const BATCH_ENTRIES = 250
const BATCH_BYTES = 1 << 20
