import { dirname, join, resolve } from 'node:path'
import type { CommandLine } from '../../command/arguments.ts'
import {
  CommandFailure,
  type CommandIo,
  type ExitCode,
  randomText,
  runCommand,
  UsageError,
} from '../../command/command.ts'
import { audienceProblems } from '../../config/audience.ts'
import { usualFiles } from '../../config/file.ts'
import { load } from '../../config/load.ts'
import { type Answers, answersOf } from './answers.ts'
import { groupId, type NewFile, writeFiles } from './files.ts'
import { missingKeys } from './missing-keys.ts'
import { configurationText } from './text.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'init',
  usage: '[FILE] [--public-url URL] [--cors-origin ORIGIN]… [--proxy ADDRESS]… [--group NAME] | FILE --keys',
  summary: `Writes a configuration with comments and the two keys that sign tokens, and says what to do next. FILE is
cinnabar.toml unless it is given; the keys are beside it. On a terminal it asks for what no option says. It replaces no
file, and writes nothing that check would refuse, but for certificates that are not there yet.`,
  options: [
    {
      name: 'public-url',
      takes: 'URL',
      help: 'the origin that clients use, such as https://hub.example.com',
    },
    { name: 'cors-origin', takes: 'ORIGIN', help: 'an origin of pages that read from the hub; repeatable' },
    { name: 'issuer', takes: 'ID', help: 'the iss of tokens; default: the first of these origins' },
    { name: 'anonymous', takes: null, help: 'everybody may read public updates without a token' },
    { name: 'proxy', takes: 'ADDRESS', help: 'a proxy in front of the hub, as the hub sees it; repeatable' },
    {
      name: 'cert-file',
      takes: 'FILE',
      help: 'the hub speaks TLS with this certificate; no proxy is needed',
    },
    { name: 'key-file', takes: 'FILE', help: 'the key of the certificate' },
    {
      name: 'listen',
      takes: 'ADDRESS',
      help: 'where the hub listens; default: as the other answers need it',
    },
    { name: 'history', takes: 'FILE', help: 'the history; default: beside FILE, /var/lib/cinnabar for /etc' },
    { name: 'group', takes: 'NAME', help: 'may read the keys; default: their owner alone' },
    {
      name: 'keys',
      takes: null,
      help: 'FILE is there already: makes the keys that it names and that are missing',
    },
    { name: 'yes', takes: null, help: 'asks nothing' },
  ],
  hasSettings: false,
  positionals: { min: 0, max: 1 },
}

/** `cinnabar init [FILE]`. */
export function runInit(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    const [written = 'cinnabar.toml'] = args.positionals
    if (written === '' || written.endsWith('/')) throw new UsageError('FILE is the name of a file')
    const file = resolve(written)
    const group = args.value('group')
    const gid = group === null ? null : groupId(group, io.readFile)
    if (args.has('keys')) return makeMissing(written, missingKeys(file, gid, io), io)
    const answers = answersOf(args, io)
    const [publisher, subscriber] = ['publisher', 'subscriber'].map((role) => keyFile(role, file, gid, io))
    if (publisher === undefined || subscriber === undefined) throw new Error('two roles have two keys')
    const text = configurationText(answers, {
      publisherKey: publisher.path,
      subscriberKey: subscriber.path,
      history: args.value('history') ?? historyOf(file),
    })
    const files = [publisher, subscriber, { path: file, text, mode: 0o644, gid }]
    refuseWrong(files, io)
    writeFiles(files)
    io.stdout(nextSteps(written, files, answers))
    return 0
  })
}

/** `--keys`: with a configuration of a package, which asks only for keys. */
function makeMissing(written: string, files: readonly NewFile[], io: CommandIo): ExitCode {
  writeFiles(files)
  const said = files.map(({ path, mode }) => `wrote ${path} (${rights(mode)})`)
  io.stdout(`${said.length === 0 ? `every key that ${written} names is there` : said.join('\n')}\n`)
  return 0
}

function rights(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}

function keyFile(role: string, file: string, gid: number | null, io: CommandIo): NewFile {
  const path = join(dirname(file), `${role}.key`)
  return { path, text: `${randomText(32, io)}\n`, mode: gid === null ? 0o600 : 0o640, gid }
}

/** The history of a machine's own hub is where the system has such files. */
function historyOf(file: string): string {
  return file.startsWith('/etc/') ? '/var/lib/cinnabar/cinnabar.db' : join(dirname(file), 'cinnabar.db')
}

/** Throws a CommandFailure with everything that is wrong with the settings; certificates may come later. */
function refuseWrong(files: readonly NewFile[], { readFile, containerBytes }: CommandIo): void {
  const config = files.at(-1)?.path ?? ''
  const loaded = load({
    argv: ['--config', config],
    env: {},
    readFile: (path) => files.find((file) => file.path === path)?.text ?? readFile(path),
    devKeys: { publisher: '', subscriber: '' },
    isTerminal: false,
    containerBytes,
  })
  const problems = loaded.ok ? audienceProblems(loaded.settings, false) : loaded.problems
  if (problems.length === 0) return
  // The file that is named in a problem is not there.
  const lines = problems.map(({ setting, message }) => `${setting.replace(/ \(.*\)$/, '')}: ${message}`)
  throw new CommandFailure(`nothing is written: ${lines.join('; ')}`)
}

function nextSteps(written: string, files: readonly NewFile[], { isBehindProxy }: Answers): string {
  const option = usualFiles.includes(written) ? '' : ` --config ${shellWord(written)}`
  const proxy = isBehindProxy ? 'The proxy needs a configuration too: docs/installing.md has them.\n' : ''
  return `${files.map(({ path, mode }) => `wrote ${path} (${rights(mode)})`).join('\n')}

${proxy}Next:

  cinnabar check${option}
  cinnabar serve${option}
  cinnabar token${option} --publish '*'
`
}

function shellWord(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
