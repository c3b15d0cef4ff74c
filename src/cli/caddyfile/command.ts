import { checkIssuers } from '../../auth/issuers.ts'
import type { CommandLine } from '../../command/arguments.ts'
import {
  CommandFailure,
  type CommandIo,
  type ExitCode,
  runCommand,
  UsageError,
} from '../../command/command.ts'
import { reasonOf } from '../../command/failure.ts'
import { printable, quoted } from '../../command/printable.ts'
import { audienceProblems } from '../../config/audience.ts'
import { describeProblem, load } from '../../config/load.ts'
import { HistoryProblem } from '../../history/file.ts'
import { TextFile } from '../history/text-file.ts'
import { parseBlocks, parseLines } from './blocks.ts'
import { Draft } from './draft.ts'
import { expandBeforeParsing } from './environment.ts'
import { readHubBlock } from './hub-block.ts'
import { importLines, readSites } from './sites.ts'
import { CaddyfileError } from './tokens.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'import caddyfile',
  usage: 'FILE [--output FILE]',
  summary:
    'Turns the Caddyfile of the reference hub into a configuration of this one, directive by directive. Directives\n' +
    'without an equivalent become comments; a directive that is not understood is listed, and the command ends with 1.\n' +
    'Variables are taken from the environment: keys are left where they are. - reads the standard input.',
  options: [
    {
      name: 'directives',
      takes: null,
      help: 'the file has only lines of the hub, as MERCURE_EXTRA_DIRECTIVES',
    },
    { name: 'output', takes: 'FILE', help: 'write to a new file that only its owner may read' },
  ],
  hasSettings: false,
  positionals: { min: 2, max: 2, words: ['caddyfile'] },
}

/** `cinnabar import caddyfile`: 0 when all of it was understood. */
export function runImport(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    const [format, path = ''] = args.positionals
    if (format !== 'caddyfile') throw new UsageError(`${quoted(format ?? '')} is not caddyfile`)
    const draft = new Draft()
    const text = await textOf(path, io)
    if (text.length > TEXT_MAX) throw new CommandFailure(`${path}: is no Caddyfile: it is too large`)
    try {
      read(text, args.has('directives'), draft, io)
    } catch (error) {
      if (error instanceof CaddyfileError) throw new CommandFailure(`${path}: ${error.message}`)
      throw error
    }
    const toml = draft.toToml(HEAD)
    await write(toml, args.value('output'), io)
    const problems = [...draft.problems, ...(await wrongSettings(toml, io))]
    for (const problem of problems) io.stderr(`${printable(problem)}\n`)
    return problems.length === 0 ? 0 : 1
  })
}

const TEXT_MAX = 1024 * 1024

const HEAD =
  'Made of a Caddyfile. cinnabar check says whether it is valid, cinnabar config what is in effect.'

function read(text: string, hasOnlyLines: boolean, draft: Draft, { env }: CommandIo): void {
  const { text: expanded, missing } = expandBeforeParsing(text, env)
  for (const name of new Set(missing)) {
    if (!optional.has(name)) draft.missing(name)
  }
  if (hasOnlyLines) {
    readHubBlock(parseLines(expanded), draft, env)
    return
  }
  const sites = parseBlocks(expanded)
  if (readSites(sites, draft, env)) return
  const [line] = importLines(sites)
  const hint = line === undefined ? '' : `; line ${line} has an import that is not followed`
  throw new CommandFailure(`there is no mercure block in the file${hint}`)
}

/** Variables of the reference image that may be empty: they hold further lines. */
const optional: ReadonlySet<string> = new Set([
  'CADDY_EXTRA_CONFIG',
  'CADDY_GLOBAL_OPTIONS',
  'CADDY_SERVER_EXTRA_DIRECTIVES',
  'GLOBAL_OPTIONS',
  'MERCURE_EXTRA_DIRECTIVES',
])

async function textOf(path: string, io: CommandIo): Promise<string> {
  try {
    return path === '-' ? await io.stdin() : io.readFile(path)
  } catch (error) {
    throw new CommandFailure(`${path}: cannot be read: ${reasonOf(error)}`)
  }
}

async function write(toml: string, path: string | null, io: CommandIo): Promise<void> {
  if (path === null) {
    io.stdout(toml)
    return
  }
  const file = new TextFile(path)
  try {
    await file.write(toml, () => Promise.resolve())
  } catch (error) {
    if (error instanceof HistoryProblem) throw new CommandFailure(error.message)
    throw error
  } finally {
    file.close()
  }
}

/** The mistakes of the configuration itself, by the names of its settings. */
async function wrongSettings(toml: string, io: CommandIo): Promise<readonly string[]> {
  const loaded = load({
    argv: ['--config', MADE],
    env: {},
    readFile: (path) => (path === MADE ? toml : io.readFile(path)),
    devKeys: () => {
      throw new Error('there is no --dev here')
    },
    isTerminal: false,
  })
  if (!loaded.ok) return loaded.problems.map(describeProblem)
  const keys = await checkIssuers(loaded.settings.issuers)
  return [
    ...keys.map(({ setting, message }) => `${setting}: ${message}`),
    ...audienceProblems(loaded.settings, false).map(describeProblem),
  ]
}

/** The name of the new file in messages: it may be the standard output. */
const MADE = 'the configuration'
