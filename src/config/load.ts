import * as v from 'valibot'
import { type ListenAddress, listenAddress, withoutPasswords } from './addresses.ts'
import { checkSettings, type Settings, warnAbout } from './checks.ts'
import { readContainerNames } from './container.ts'
import { type DevKeys, devValues } from './dev.ts'
import { attempt, type Exists, findConfigFile, type ReadFile, readConfigFile } from './file.ts'
import { type Origin, type Problem, problem, type Source } from './given.ts'
import { resourceIdentifier } from './location.ts'
import { type Merged, merge, readSecrets } from './merge.ts'
import { findKey, item, members, type Node, snakeCase } from './names.ts'
import { schema } from './schema.ts'
import { readEnvironment, readFlags } from './sources.ts'
import { splitList } from './values.ts'

export type { Settings } from './checks.ts'
export type { Origin, Problem } from './given.ts'

/** Where settings may be. Nothing else of the process is looked at. */
export interface Places {
  /** The arguments after the command: settings as flags, `--config FILE` and `--dev`. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly readFile: ReadFile
  /** Whether there is something at the path. Without it only a file that is named is read. */
  readonly exists?: Exists
  /**
   * The keys that `--dev` uses, of 32 characters or more, or how to get them when they are needed, which throws a plain
   * Error that says why there are none.
   */
  readonly devKeys: DevKeys | (() => DevKeys)
  /** Whether the log goes to a terminal. */
  readonly isTerminal: boolean
}

/** A configuration that the hub can run with. */
export interface Configuration {
  readonly ok: true
  readonly settings: Settings
  /** Where each setting comes from, by its key such as `issuers[0].id`; one with its default is not here. */
  readonly origins: ReadonlyMap<string, Origin>
  readonly warnings: readonly Problem[]
  readonly isDev: boolean
  /** The file that was read, or null. */
  readonly file: string | null
}

/** Everything that is wrong, at once. */
export interface Refusal {
  readonly ok: false
  readonly problems: readonly Problem[]
  /** How the log would be written, as far as that is known. */
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
  const problems = [
    ...merged.problems,
    ...issues.map((issue) => explain(issue, merged.givens)),
    ...(settings === null ? [] : checkSettings(settings, written, flags.isDev, broken)),
  ]
  if (settings === null || problems.length > 0) {
    const format = textOf(merged.givens, 'log.format') ?? other.get('log.format')
    return { ok: false, problems, logFormat: format === 'pretty' ? format : 'json' }
  }
  const origins = new Map([...merged.givens].map(([key, { origin }]) => [key, origin]))
  return { ok: true, settings, origins, warnings: warnAbout(settings, written), isDev: flags.isDev, file }
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
  const sources = [flags, environment, readContainerNames(places.env, around), file]
  return flags.isDev ? merge([...sources, devSource(sources, places.devKeys)]) : merge(sources)
}

/** An empty list is one. */
function givesIssuers({ givens, whole }: Source): boolean {
  return whole.includes('issuers') || givens.some(({ name }) => name.key.startsWith('issuers'))
}

const nothing: Source = { givens: [], whole: [], problems: [] }

/** `--dev` depends on where the hub listens, whoever said so. */
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

/** What the schema is to read: the shape of the settings, with what was given or the default in it. */
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

/** Gaps are tables too: what they lack is then a problem with a name. */
function countTables(table: string, givens: Merged['givens']): number {
  const indices = [...givens.keys()].filter((key) => key.startsWith(`${table}[`))
  return Math.max(0, ...indices.map((key) => Number.parseInt(key.slice(table.length + 1), 10) + 1))
}

interface Read {
  /** Null when even the defaults in place of wrong values make no whole. */
  readonly settings: Settings | null
  readonly issues: readonly Issue[]
}

type Issue = v.BaseIssue<unknown>

/** Wrong values are left out at the second try, so that one of them does not hide what else is wrong. */
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
  // Whoever swaps two settings of an issuer has put the key elsewhere.
  const isShown = !given.name.meaning.secret && !given.name.key.startsWith('issuers')
  const value = isShown ? shown(given.raw) : 'the value'
  return problem(given.origin.name, `${value} ${issue.message}`)
}

function shown(raw: unknown): string {
  const text = withoutPasswords(JSON.stringify(raw) ?? String(raw))
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** What follows from other settings. */
function derive(settings: Settings): Settings {
  return { ...settings, hub: { ...settings.hub, resourceIdentifier: resourceIdentifier(settings) } }
}
