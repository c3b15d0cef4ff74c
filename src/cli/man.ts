import { type CommandLine, optionsOf, spelled } from '../command/arguments.ts'
import { type CommandIo, type ExitCode, runCommand } from '../command/command.ts'
import { flagOf, sectionOf } from '../config/describe.ts'
import { type Name, names } from '../config/names.ts'
import { version } from './version.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'man',
  usage: '',
  summary: 'Prints the manual page, in the language of man(7): cinnabar man | man -l -',
  options: [],
  hasSettings: false,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar man`, for what all commands understand. */
export function manualOf(lines: () => Promise<readonly CommandLine[]>) {
  return (argv: readonly string[], io: CommandIo): Promise<ExitCode> =>
    runCommand(line, argv, io, async () => {
      const made = { version: version.version, date: process.env.BUILD_DATE ?? '' }
      io.stdout(manualPage(await lines(), made))
      return 0
    })
}

/** The manual page: every command with its options, and every setting. `date` is that of the version, or empty. */
export function manualPage(
  lines: readonly CommandLine[],
  { version, date }: { readonly version: string; readonly date: string },
): string {
  return `${[
    `.TH CINNABAR 1 "${date}" "cinnabar ${version}" "User Commands"`,
    ...section('NAME', ['cinnabar \\- a Mercure hub with a bounded past']),
    ...section('SYNOPSIS', ['.B cinnabar', '.I COMMAND', '[\\fIoptions\\fR]']),
    ...section('DESCRIPTION', description.flatMap(paragraph)),
    ...section('COMMANDS', lines.flatMap(command)),
    ...section('SETTINGS', [...settingsIntroduction.flatMap(paragraph), ...settings()]),
    ...section('FILES', files.flatMap(entry)),
    ...section('SIGNALS', signals.flatMap(entry)),
    ...section('ENVIRONMENT', environment.flatMap(entry)),
    ...section('EXIT STATUS', statuses.flatMap(entry)),
    ...section('EXAMPLES', examples.flatMap(example)),
  ].join('\n')}\n`
}

const description: readonly string[] = [
  'A Mercure hub in one executable: publishers POST updates to topics, browsers and servers receive them as Server-Sent Events, tokens decide who may read private ones, and a client that comes back goes on from the last event it saw. The past is bounded by count, by age and by bytes.',
]

const settingsIntroduction: readonly string[] = [
  'Every setting is a flag of the commands that take settings, an environment name, and a key of the TOML file, which `--config` or `CINNABAR_CONFIG` names. A flag wins over the environment, the environment over the file, the file over the default. N is the number of a table, from 0. A running hub takes changes at SIGHUP, except where it says restart.',
]

const files: readonly Entry[] = [
  ['cinnabar.toml', 'The configuration, when the working folder has one and no other is named.'],
  ['/etc/cinnabar/cinnabar.toml', 'The configuration, when neither is there.'],
  ['cinnabar.db', 'The history, when `sqlite.path` says nothing else.'],
]

/** The signals of the hub, and what they do. */
export const signals: readonly Entry[] = [
  [
    'SIGTERM, SIGINT',
    'The hub accepts nobody any more, ends its streams over `shutdown.drain`, and then itself.',
  ],
  ['SIGHUP', 'The hub reads its configuration, keys and certificates again, and cuts no stream.'],
]

/** The environment names that commands read beside those of settings. */
export const environment: readonly Entry[] = [
  ['CINNABAR_CONFIG', 'The configuration file, when there is no `--config`; empty: no file is read.'],
  ['CINNABAR_TOKEN', 'The token of the commands that talk to a hub, when there is no `--token`.'],
  ['CINNABAR_…', 'Every setting, see SETTINGS.'],
]

/** The exit codes of every command. */
export const statuses: readonly Entry[] = [
  ['0', 'It went well.'],
  ['1', 'Something failed.'],
  ['2', 'The command line is wrong.'],
  ['78', 'The configuration is wrong.'],
]

const examples: readonly Entry[] = [
  ['Try the hub on this machine:', 'cinnabar serve --dev'],
  ['See everything that is wrong with a configuration:', 'cinnabar check --config cinnabar.toml'],
  ['Watch all public updates of a hub:', "cinnabar subscribe --hub https://hub.example.com '*'"],
]

/** A word, and what is said about it. */
export type Entry = readonly [term: string, text: string]

function section(title: string, content: readonly string[]): readonly string[] {
  return [`.SH ${title}`, ...content.slice(content[0] === '.PP' ? 1 : 0)]
}

function command(line: CommandLine): readonly string[] {
  const usage = `cinnabar ${line.name} ${line.usage}`.trimEnd()
  const settings = line.hasSettings ? ['.PP', 'Every setting is a flag too.'] : []
  return [
    `.SS ${roff(line.name)}`,
    `\\fB${roff(usage)}\\fR`,
    ...paragraph(line.summary),
    ...optionsOf(line).flatMap((option) => entry([spelled(option), option.help])),
    ...settings,
  ]
}

function settings(): readonly string[] {
  const groups = Map.groupBy(names, sectionOf)
  return [...groups].flatMap(([title, entries]) => [
    `.SS ${title === '' ? 'At the top' : roff(title)}`,
    ...entries.flatMap(setting),
  ])
}

function setting(name: Name): readonly string[] {
  const { fallback, help, restart } = name.meaning
  const text = name.takes === 'file' ? 'the file that holds it' : help
  const isShown = name.takes === 'value' && fallback !== null && fallback !== ''
  const more = [
    ...(isShown ? [`Default: \`${fallback}\`.`] : []),
    ...(restart ? ['A change needs a restart.'] : []),
    `In the file \`${name.key}\`, in the environment \`${name.env}\`.`,
  ]
  return entry([flagOf(name), `${text}. ${more.join(' ')}`])
}

function entry([term, text]: Entry): readonly string[] {
  return ['.TP', `.B ${roff(term)}`, ...flowing(text)]
}

function example([title, words]: Entry): readonly string[] {
  return ['.PP', roff(title), '.PP', '.nf', `.RS 4`, roff(words), '.RE', '.fi']
}

/** Indented lines are a table and stay lines; all others flow. */
function paragraph(text: string): readonly string[] {
  const out: string[] = ['.PP']
  let isTable = false
  for (const line of text.split('\n')) {
    if (line.startsWith('  ') !== isTable) {
      isTable = !isTable
      out.push(isTable ? '.PP' : '.fi', ...(isTable ? ['.nf'] : ['.PP']))
    }
    out.push(...(isTable ? [roff(line)] : flowing(line)))
  }
  return isTable ? [...out, '.fi'] : out
}

/** A line for each sentence, as formatters want it; words in backticks are bold. */
function flowing(text: string): readonly string[] {
  return roff(text)
    .replaceAll(/`([^`]+)`/g, '\\fB$1\\fR')
    .split(/(?<=[.:])\s+(?=[A-Z0-9])/)
    .map((sentence) => guarded(sentence.trim()))
}

/** Text as itself: a hyphen of an option can be copied, and a dot at the start of a line is no request. */
function roff(text: string): string {
  return guarded(text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('…', '...'))
}

function guarded(line: string): string {
  return line.replace(/^(?=[.'])/, '\\&')
}
