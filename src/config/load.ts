import * as v from 'valibot'
import { type ListenAddress, listenAddress, withoutPasswords } from './addresses.ts'
import { readContainerNames } from './borrowed/container.ts'
import { readOtelNames } from './borrowed/otel.ts'
import { checkSettings, type Settings, warnAbout } from './checks.ts'
import { type DevKeys, devValues } from './dev.ts'
import { attempt, type Exists, findConfigFile, type ReadFile, readConfigFile } from './file.ts'
import { type Origin, type Problem, problem, type Source } from './given.ts'
import { resourceIdentifier } from './location.ts'
import { fitMemory } from './memory.ts'
import { type Merged, merge, readSecrets } from './merge.ts'
import { findKey, item, members, type Node, snakeCase } from './names.ts'
import { schema } from './schema.ts'
import { readEnvironment, readFlags } from './sources.ts'
import { splitList } from './values.ts'

export type { Settings } from './checks.ts'
export type { Origin, Problem } from './given.ts'

/** The places of settings. `load` looks at nothing else of the process. */
export interface Places {
  /** The arguments after the command: settings as flags, `--config FILE` and `--dev`. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly readFile: ReadFile
  /** Whether there is something at the path. Without this function `load` reads only a file that is named. */
  readonly exists?: Exists
  /**
   * The keys that `--dev` uses, of 32 characters or more, or a function that gets them when they are needed and throws
   * a plain Error that says why there are none.
   */
  readonly devKeys: DevKeys | (() => DevKeys)
  /** Whether the log goes to a terminal. */
  readonly isTerminal: boolean
  /** Memory that the container of the hub may take, in bytes; null: no limit. */
  readonly containerBytes?: number | null
}

/** A configuration that the hub can run with. */
export interface Configuration {
  readonly ok: true
  readonly settings: Settings
  /** The origin of each setting, by its key such as `issuers[0].id`; a setting with its default has none. */
  readonly origins: ReadonlyMap<string, Origin>
  readonly warnings: readonly Problem[]
  /** Lines about decisions that the hub took where the operator said nothing. */
  readonly notes: readonly Problem[]
  readonly isDev: boolean
  /** The file that was read, or null. */
  readonly file: string | null
}

/** All mistakes of a configuration at once. */
export interface Refusal {
  readonly ok: false
  readonly problems: readonly Problem[]
  /** The format of the log, as far as it is known. */
  readonly logFormat: 'json' | 'pretty'
}

/** Reads all places, flag over environment over file over default. Never throws on wrong input. */
export function load(places: Places): Configuration | Refusal {
  const flags = readFlags(places.argv)
  const file = findConfigFile(flags.configFile ?? places.env['CINNABAR_CONFIG'], places.exists)
  const merged = readSecrets(mergePlaces(places, flags, file), places.readFile)
  const other = places.isTerminal ? onTerminal : nothingElse
  const { settings, issues } = read(merged.givens, other)
  const written = (key: string) => merged.givens.get(key)?.origin.name ?? key
  const broken = new Set(issues.map((issue) => keyOf(issue).replace(/[.[].*/, '')))
  const isGiven = (key: string) => merged.givens.has(key)
  const fitted =
    settings === null ? null : fitMemory(settings, isGiven, written, places.containerBytes ?? null)
  const problems = [
    ...merged.problems,
    ...issues.map((issue) => explain(issue, merged.givens)),
    ...(settings === null ? [] : checkSettings(settings, written, flags.isDev, broken)),
    ...(broken.has('history') || broken.has('limits') ? [] : (fitted?.problems ?? [])),
  ]
  if (fitted === null || problems.length > 0) {
    const format = textOf(merged.givens, 'log.format') ?? other.get('log.format')
    return { ok: false, problems, logFormat: format === 'pretty' ? format : 'json' }
  }
  const given = [...merged.givens].map(([key, { origin }]) => [key, origin] as const)
  return {
    ok: true,
    settings: fitted.settings,
    origins: new Map([...fitted.origins, ...given]),
    warnings: [...warnAbout(fitted.settings, written), ...fitted.warnings],
    notes: fitted.notes,
    isDev: flags.isDev,
    file,
  }
}

/** Whether there is a file and no setting comes from it. */
export function hasEmptyFile({ file, origins }: Configuration): boolean {
  return file !== null && ![...origins.values()].some(({ kind }) => kind === 'file')
}

/** 2 when the command line is wrong, 78 when a value is. */
export function exitCode(problems: readonly Problem[]): 2 | 78 {
  return problems.some(({ isUsage }) => isUsage) ? 2 : 78
}

/** A problem as one line. */
export function describeProblem({ setting, message }: Problem): string {
  return `${setting}: ${message}`
}

const nothingElse: ReadonlyMap<string, string> = new Map()
const onTerminal: ReadonlyMap<string, string> = new Map([['log.format', 'pretty']])

function mergePlaces(places: Places, flags: ReturnType<typeof readFlags>, path: string | null): Merged {
  const environment = readEnvironment(places.env)
  const file = path === null ? nothing : readConfigFile(path, places.readFile)
  const own = merge([flags, environment, file]).givens
  const around = {
    isLegacy: own.has('hub.legacy') ? textOf(own, 'hub.legacy') !== 'off' : null,
    hasIssuers: [flags, environment, file].some(givesIssuers),
    hasTls: own.has('tls.cert_file'),
  }
  const sources = [
    flags,
    environment,
    readContainerNames(places.env, around),
    file,
    readOtelNames(places.env, own.has('telemetry.otlp_endpoint')),
  ]
  return flags.isDev ? merge([...sources, devSource(sources, places.devKeys)]) : merge(sources)
}

/** An empty list is one. */
function givesIssuers({ givens, whole }: Source): boolean {
  return whole.includes('issuers') || givens.some(({ name }) => name.key.startsWith('issuers'))
}

const nothing: Source = { givens: [], whole: [], problems: [] }

/** The values of `--dev` depend on where the hub listens, whichever source says so. */
function devSource(sources: readonly Source[], devKeys: Places['devKeys']): Source {
  const { givens } = merge(sources)
  const issuers = [...givens.keys()].some((key) => key.startsWith('issuers['))
  const hasIssuers = issuers || sources.some(({ whole }) => whole.includes('issuers'))
  const keys = typeof devKeys === 'object' || hasIssuers ? devKeys : attempt(devKeys)
  const hub = {
    listen: firstListen(givens.get('listen')?.raw),
    path: textOf(givens, 'hub.path') ?? findKey('hub.path')?.meaning.fallback ?? '',
    hasTls: givens.has('tls.cert_file'),
    hasPublicUrls: givens.has('hub.public_urls'),
    hasIssuers,
  }
  if (keys instanceof Error) {
    return { ...nothing, givens: devValues(hub, null), problems: [problem('--dev', keys.message)] }
  }
  return { ...nothing, givens: devValues(hub, typeof keys === 'object' ? keys : null) }
}

function firstListen(raw: unknown): ListenAddress | null {
  const address = attempt(() => listenAddress.read(splitList(raw)[0]))
  return address instanceof Error ? null : address
}

function textOf(givens: Merged['givens'], key: string): string | undefined {
  const raw = givens.get(key)?.raw
  return raw === undefined ? undefined : String(raw)
}

/** The input of the schema: the shape of the settings, with the given value or the default in each place. */
function build(
  node: Node,
  key: string,
  givens: Merged['givens'],
  other: ReadonlyMap<string, string>,
): unknown {
  const inside = members(node)
  if (inside !== null) {
    const built = inside.map(([member, child]) => {
      const inner = `${key}${key && '.'}${snakeCase(member)}`
      return [member, build(child, inner, givens, other)] as const
    })
    const present = built.filter(([, value]) => value !== undefined)
    return node.type === 'exact_optional' && present.length === 0 ? undefined : Object.fromEntries(present)
  }
  const repeated = item(node)
  if (repeated !== null) {
    return Array.from({ length: countTables(key, givens) }, (_, at) =>
      build(repeated, `${key}[${at}]`, givens, other),
    )
  }
  const fallback = findKey(key.replace(/\[\d+\]/, '[]'))?.meaning.fallback ?? undefined
  return givens.get(key)?.raw ?? other.get(key) ?? fallback
}

/** Gaps are tables too: each setting that they lack is then a problem with a name. */
function countTables(table: string, givens: Merged['givens']): number {
  const indices = [...givens.keys()].filter((key) => key.startsWith(`${table}[`))
  return Math.max(0, ...indices.map((key) => Number.parseInt(key.slice(table.length + 1), 10) + 1))
}

interface Read {
  /** Null when the settings are not whole even with the defaults in place of wrong values. */
  readonly settings: Settings | null
  readonly issues: readonly Issue[]
}

type Issue = v.BaseIssue<unknown>

/** Leaves wrong values out at the second try, so that one of them does not hide other mistakes. */
function read(givens: Merged['givens'], other: ReadonlyMap<string, string>): Read {
  const parsed = v.safeParse(schema, build(schema, '', givens, other))
  if (parsed.success) return { settings: derive(parsed.output), issues: [] }
  const wrong = new Set(parsed.issues.map(keyOf))
  const right = new Map([...givens].filter(([key]) => !wrong.has(key)))
  const again = v.safeParse(schema, build(schema, '', right, other))
  return { settings: again.success ? derive(again.output) : null, issues: parsed.issues }
}

function keyOf(issue: Issue): string {
  return (issue.path ?? []).reduce((path, { key }) => {
    if (typeof key === 'number') return `${path}[${key}]`
    return `${path}${path && '.'}${snakeCase(String(key))}`
  }, '')
}

function explain(issue: Issue, givens: Merged['givens']): Problem {
  const given = givens.get(keyOf(issue))
  if (given === undefined) return problem(keyOf(issue), 'is needed')
  // An operator who swaps two settings of an issuer has put the key elsewhere.
  const isShown = !given.name.meaning.secret && !given.name.key.startsWith('issuers')
  const value = isShown ? shown(given.raw) : 'the value'
  return problem(given.origin.name, `${value} ${issue.message}`)
}

function shown(raw: unknown): string {
  const text = withoutPasswords(JSON.stringify(raw) ?? String(raw))
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** Fills in the settings that follow from others. */
function derive(settings: Settings): Settings {
  return { ...settings, hub: { ...settings.hub, resourceIdentifier: resourceIdentifier(settings) } }
}
