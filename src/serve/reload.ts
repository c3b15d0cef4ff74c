import type { Settings } from '../config/load.ts'
import { hubUrl } from '../config/location.ts'
import { snakeCase } from '../config/names.ts'

/** What a running hub does with a new configuration. */
export interface Reload {
  /** What holds from now on: the new values, and the running ones where only a restart changes them. */
  readonly settings: Settings
  /** Names of the settings that were changed in vain. */
  readonly needRestart: readonly string[]
}

/**
 * Separates what can be exchanged while streams are open from what they, or the store, stand on. Throws a plain Error
 * when an empty file would drop every issuer: so looks one that is just being written.
 */
export function planReload(running: Settings, wanted: Settings, isFileEmpty = false): Reload {
  if (isFileEmpty && running.issuers.length > 0 && wanted.issuers.length === 0) {
    throw new Error('issuers: the file is empty, and without issuers every token would be refused')
  }
  const settings = { ...wanted, ...fixed(running), ...partlyFixed(running, wanted) }
  return { settings, needRestart: differences(settings, wanted) }
}

/** Listeners and the store are opened once. */
function fixed({ listen, admin, http2, http3, transport, sqlite, history, redis }: Settings) {
  return { listen, admin, http2, http3, transport, sqlite, history, redis }
}

function partlyFixed(running: Settings, wanted: Settings) {
  const hasTls = ({ tls }: Settings) => tls.certFile !== null
  const { path, subscriptions, presenceGrace, legacy, publicUrls, resourceIdentifier } = running.hub
  const hub = { ...wanted.hub, path, subscriptions, presenceGrace, legacy }
  // Relative topics and patterns of open streams were resolved against this URL (GEN-12), and the resource
  // identifier may follow from its path.
  const isSameBase = wanted.hub.path === path && hubUrl({ hub }) === hubUrl(running)
  return {
    tls: hasTls(running) === hasTls(wanted) ? wanted.tls : running.tls,
    hub: isSameBase ? hub : { ...hub, publicUrls, resourceIdentifier },
    limits: { ...wanted.limits, memory: running.limits.memory },
    log: { ...wanted.log, format: running.log.format },
  }
}

function differences(settings: Settings, wanted: Settings): readonly string[] {
  const owns = new Map<string, unknown>(Object.entries(settings))
  return Object.entries<unknown>(wanted).flatMap(([section, value]) => {
    const own = owns.get(section)
    const name = snakeCase(section)
    if (!isTable(value) || !isTable(own)) return Bun.deepEquals(own, value) ? [] : [name]
    const members = Object.keys(value).filter((member) => !Bun.deepEquals(own[member], value[member]))
    return members.map((member) => `${name}.${snakeCase(member)}`)
  })
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
