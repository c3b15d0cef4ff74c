import type { Arguments } from '../../command/arguments.ts'
import { type CommandIo, randomText, UsageError } from '../../command/command.ts'
import { findConfigFile } from '../../config/file.ts'
import { describeProblem, load, type Settings } from '../../config/load.ts'
import { numbered } from '../../config/names.ts'
import { readFlags } from '../../config/sources.ts'

/** A hub to measure. */
export interface HubConfiguration {
  /** Short, and fit to be a file name. */
  readonly name: string
  /** Settings as flags of `serve`, `--config` among them. */
  readonly flags: readonly string[]
  /** Whether settings in the environment are meant for it. */
  readonly readsEnvironment: boolean
}

/**
 * The configurations of the standard set, those of `--configuration`, and `yours` when there are settings on the
 * command line, in a file or in the environment; `--only` picks some. Throws a `UsageError`.
 */
export function configurationsOf(args: Arguments, io: CommandIo): readonly HubConfiguration[] {
  const named = args.values('configuration').map(parseConfiguration)
  const yours = { name: YOURS, flags: args.settings, readsEnvironment: true }
  const { CINNABAR_CONFIG: file, ...env } = io.env
  const hasFile = findConfigFile(file, io.exists) !== null
  const hasYours = args.settings.length > 0 || hasFile || Object.keys(env).some(isSetting)
  const all = [...standard.map(parseConfiguration), ...named, ...(hasYours ? [yours] : [])]
  for (const { name, flags } of all) {
    if (all.filter((other) => other.name === name).length > 1) {
      throw new UsageError(`there are two configurations ${name}`)
    }
    refuseDecided(name, flags)
  }
  const picked = pick(all, args.value('only'))
  if (picked.length > CONFIGURATIONS_MAX) {
    throw new UsageError(`no more than ${CONFIGURATIONS_MAX} configurations fit side by side`)
  }
  return picked
}

/**
 * `NAME: --flag value …`, where quotes hold words with spaces together: `NAME: --history-rules '[{…}]'`.
 * Throws a `UsageError`.
 */
export function parseConfiguration(written: string): HubConfiguration {
  const [, name, rest] = /^([A-Za-z0-9][\w.-]{0,23}):(.*)$/s.exec(written) ?? []
  if (name === undefined || rest === undefined) {
    throw new UsageError("--configuration is not 'NAME: --SETTING VALUE …' with a short plain name")
  }
  if (/\S/.test(rest.replace(WORD, ''))) throw new UsageError(`the configuration ${name} has an open quote`)
  const words = (rest.match(WORD) ?? []).map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'))
  return { name, flags: words, readsEnvironment: false }
}

/** The settings that its flags give, without the values of secrets. */
export function settingsOf({ flags }: HubConfiguration): Readonly<Record<string, string>> {
  const { givens, configFile } = readFlags(flags)
  const settings = givens.map(({ name, index, raw }) => [
    numbered(name.key, index),
    name.meaning.secret ? '***' : String(raw),
  ])
  return Object.fromEntries([...(configFile === null ? [] : [['config', configFile]]), ...settings])
}

/** The environment of its hub, without the names of the reference image that say what the run decides. */
export function environmentOf({ readsEnvironment }: HubConfiguration, { env }: CommandIo) {
  const isLeftOut = (name: string) =>
    /^(MERCURE|LISTEN)_|^SERVER_NAME$/.test(name) || (isSetting(name) && !readsEnvironment)
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isLeftOut(name)))
}

/** Finds what else than wrong values would keep a hub with these settings from starting, a line each. */
export type StartProblems = (settings: Settings, isDev: boolean) => readonly string[]

/** Everything that would keep a hub with these flags from starting, a line each. */
export function problemsOf(
  configuration: HubConfiguration,
  argv: readonly string[],
  io: CommandIo,
  startProblems: StartProblems,
): readonly string[] {
  const { readFile, exists, isTerminal, containerBytes } = io
  const env = environmentOf(configuration, io)
  const devKeys = { publisher: randomText(32, io), subscriber: randomText(32, io) }
  const loaded = load({ argv, env, readFile, exists, isTerminal, devKeys, containerBytes })
  const problems = loaded.ok
    ? startProblems(loaded.settings, loaded.isDev)
    : loaded.problems.map(describeProblem)
  return problems.map((problem) => `${configuration.name}: ${problem}`)
}

/** Small limits, so that each is reached soon: a run looks at the time after that. */
const standard: readonly string[] = [
  'sqlite-count: --history-max-count 2000',
  'sqlite-age: --history-max-age 5s',
  'sqlite-bytes: --history-max-bytes 3MiB',
  'memory: --transport memory --history-max-count 2000',
  'local: --transport local',
  'unbounded: --history-max-count unlimited --history-max-age unlimited --history-max-bytes unlimited',
]

const YOURS = 'yours'
const CONFIGURATIONS_MAX = 12
const WORD = /(?:[^\s"']+|"[^"]*"|'[^']*')+/g

/** Settings that the run decides for every hub: the places to listen and to store at, and who may publish. */
const decided =
  /^(listen|admin\.listen|tls\..*|http3|hub\.(path|public_urls|resource_identifier)|issuers.*|sqlite\.path|log\.(level|format))$/

function isSetting(env: string): boolean {
  return env.startsWith('CINNABAR_') && env !== 'CINNABAR_TOKEN'
}

function refuseDecided(name: string, flags: readonly string[]): void {
  const found = readFlags(flags).givens.find((given) => decided.test(given.name.key))
  if (found !== undefined) throw new UsageError(`${name}: --${found.name.flag} is decided by the run itself`)
}

function pick(all: readonly HubConfiguration[], only: string | null): readonly HubConfiguration[] {
  if (only === null) return all
  return only.split(',').map((name) => {
    const found = all.find((each) => each.name === name)
    if (found !== undefined) return found
    throw new UsageError(`--only knows ${all.map((each) => each.name).join(', ')}`)
  })
}
