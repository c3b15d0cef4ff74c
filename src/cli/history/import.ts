import type { CommandLine } from '../../command/arguments.ts'
import { type CommandIo, type ExitCode, readInput } from '../../command/command.ts'
import { countText } from '../../command/quantity.ts'
import { type Found, importHistory } from '../../history/import.ts'
import { parseLine, WrongLine } from '../../history/line.ts'
import { linesOf } from './text-file.ts'
import { runOnHistory, settingsUsage } from './tool.ts'

/** The command line of the command. */
export const line: CommandLine = {
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
    const { stored } = await importHistory(path, entriesOf(lines))
    io.stdout(`imported ${countText(stored, 'entry', 'entries')}\n`)
    return 0
  })
}

/** The entries of lines. A wrong line ends the import: nobody knows what else is missing. */
async function* entriesOf(lines: AsyncIterable<string> | Iterable<string>): AsyncGenerator<Found> {
  let number = 0
  for await (const text of lines) {
    const place = `line ${++number}`
    if (text.trim() !== '') yield { place, ...readLine(text) }
  }
}

function readLine(text: string) {
  try {
    return { kind: 'entry', entry: parseLine(text) } as const
  } catch (error) {
    if (!(error instanceof WrongLine)) throw error
    return { kind: 'wrong', reason: error.message } as const
  }
}
