import manifest from '../../package.json' with { type: 'json' }
import type { CommandLine } from '../command/arguments.ts'
import { type CommandIo, type ExitCode, runCommand } from '../command/command.ts'

// The build replaces both names by text. From source they are the variables that they look like.
declare module 'bun' {
  interface Env {
    BUILD_COMMIT?: string
    BUILD_DATE?: string
    BUILD_TARGET?: string
  }
}

/** The origin of this executable. */
export interface Version {
  readonly version: string
  /** The commit that it was built from, or `unknown`. */
  readonly commit: string
  /** The platform that it was built for, such as `linux-x64-musl`, or `source`. */
  readonly target: string
  readonly bun: string
  readonly sqlite: string
}

/** The version of the running program. */
export const version: Version = {
  version: manifest.version,
  commit: process.env.BUILD_COMMIT ?? 'unknown',
  target: process.env.BUILD_TARGET ?? 'source',
  bun: process.versions.bun ?? 'unknown',
  sqlite: process.versions['sqlite'] ?? 'unknown',
}

/** The command line of the command. */
export const line: CommandLine = {
  name: 'version',
  usage: '[--json]',
  summary: 'Prints the version, the commit, the build target, and the versions of Bun and SQLite.',
  options: [{ name: 'json', takes: null, help: 'prints one JSON object' }],
  hasSettings: false,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar version`. */
export function runVersion(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    const { version: number, commit, target, bun, sqlite } = version
    const text = `cinnabar ${number} (${commit}, ${target}, Bun ${bun}, SQLite ${sqlite})`
    io.stdout(`${args.has('json') ? JSON.stringify(version) : text}\n`)
    return 0
  })
}
