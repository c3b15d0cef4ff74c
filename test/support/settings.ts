import { load, type Settings } from '../../src/config/load.ts'

/** The settings of a command line, without an environment or a file. Throws a plain Error with all problems. */
export function settingsOf(argv: readonly string[]): Settings {
  const devKeys = { publisher: 'x'.repeat(32), subscriber: 'y'.repeat(32) }
  const loaded = load({ argv, env: {}, readFile: () => '', isTerminal: false, devKeys })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.settings
}
