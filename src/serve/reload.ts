import type { Settings } from '../config/load.ts'
import { hubUrl } from '../config/location.ts'
import { findKey, sections, snakeCase } from '../config/names.ts'

/** The effect of a new configuration on a running hub. */
export interface Reload {
  /** The settings from now on: the new values, and the running ones where only a restart changes them. */
  readonly settings: Settings
  /** Names of the settings that were changed in vain. */
  readonly needRestart: readonly string[]
}

/**
 * Separates settings that can be exchanged while streams are open from those that streams, or the store, stand on.
 * Throws a plain Error when an empty file would drop every issuer: a file that is just being written looks like that.
 */
export function planReload(running: Settings, wanted: Settings, isFileEmpty = false): Reload {
  if (isFileEmpty && running.issuers.length > 0 && wanted.issuers.length === 0) {
    throw new Error('issuers: the file is empty, and without issuers every token would be refused')
  }
  const taken = keepTls(running, keepBase(running, wanted, keepFixed(running, wanted)))
  const holding = new Map(settingsOf(taken))
  const changed = [...settingsOf(wanted)].filter(([key, value]) => !Bun.deepEquals(holding.get(key), value))
  return { settings: taken, needRestart: changed.map(([key]) => key) }
}

/** The wanted settings with the running values of those that the schema says need a restart. */
function keepFixed<T extends object>(running: T, wanted: T, section = ''): T {
  const own = new Map<string, unknown>(Object.entries(running))
  const members = Object.entries(wanted).map(([member, value]) => {
    const key = `${section}${snakeCase(member)}`
    const before = own.get(member)
    if (isSection(key, before) && isSection(key, value)) return [member, keepFixed(before, value, `${key}.`)]
    return [member, findKey(key)?.meaning.restart === true ? before : value]
  })
  return { ...wanted, ...Object.fromEntries(members) }
}

/**
 * Relative topics and patterns of open streams were resolved against the URL of the hub (GEN-12), and the resource
 * identifier may follow from its path. So a setting that would change either waits.
 */
function keepBase(running: Settings, wanted: Settings, taken: Settings): Settings {
  if (wanted.hub.path === running.hub.path && hubUrl(taken) === hubUrl(running)) return taken
  const { publicUrls, resourceIdentifier } = running.hub
  return { ...taken, hub: { ...taken.hub, publicUrls, resourceIdentifier } }
}

/** Listeners speak TLS or not from their start; other certificates are taken. */
function keepTls(running: Settings, taken: Settings): Settings {
  const isSwitched = (running.tls.certFile === null) !== (taken.tls.certFile === null)
  return isSwitched ? { ...taken, tls: running.tls } : taken
}

/** Each setting with its key; tables that repeat are one. */
function* settingsOf(settings: object, section = ''): Generator<readonly [key: string, value: unknown]> {
  for (const [member, value] of Object.entries(settings)) {
    const key = `${section}${snakeCase(member)}`
    if (isSection(key, value)) yield* settingsOf(value, `${key}.`)
    else yield [key, value]
  }
}

function isSection(key: string, value: unknown): value is object {
  return sections.has(key) && typeof value === 'object' && value !== null
}
