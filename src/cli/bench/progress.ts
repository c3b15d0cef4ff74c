import { Progress } from '../../bench/run.ts'
import type { CommandIo } from '../../command/command.ts'

/** The progress of a run on the standard error, where somebody watches it. */
export function progressOf({ env, stderr, isErrorTerminal }: CommandIo): Progress {
  return new Progress(isErrorTerminal ? stderr : null, {
    columns: () => process.stderr.columns || 80,
    isDumb: env['TERM'] === 'dumb',
  })
}
