import { type Given, type Problem, problem, type Source } from '../given.ts'
import { findEnv } from '../names.ts'

/**
 * Environment names of the reference container image, for a drop-in replacement. This file maps the few that name keys
 * and listeners; it refuses every other one with a hint and ignores none.
 */

/** The rest of the configuration as far as a mapped name depends on it. */
export interface Around {
  /** Whether the hub is to accept 0.x tokens, which name no issuer; null: the configuration does not say. */
  readonly isLegacy: boolean | null
  /** Whether the configuration has issuers under names of this hub. */
  readonly hasIssuers: boolean
  /** Whether certificates are configured. */
  readonly hasTls: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

/** The issuer that 0.x keys without issuer are bound to. No token needs to name it (LEG-14). */
export const legacyIssuer = 'urn:cinnabar:legacy'

/** Reads the names of the reference image. */
export function readContainerNames(env: Environment, around: Around): Source {
  const reading = new Reading(env, around)
  reading.read()
  return reading
}

const mapped = [
  'MERCURE_PUBLISHER_JWT_KEY',
  'MERCURE_PUBLISHER_JWT_ALG',
  'MERCURE_SUBSCRIBER_JWT_KEY',
  'MERCURE_SUBSCRIBER_JWT_ALG',
  'MERCURE_TRUSTED_ISSUERS',
]

const store = 'use the settings transport, sqlite.path and history.*'
const keys = 'use issuers[]'
const caddy = 'there is no Caddy here; use the settings of this hub'

// Names so common that other programs set them, such as DEBUG or LOG_FORMAT, are left alone.
const refused: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ACME_CERT_DIR: 'use tls.cert_file and tls.key_file',
    ACME_HOSTS: 'use tls.cert_file and tls.key_file',
    ADDR: 'use listen',
    ALLOW_ANONYMOUS: 'use hub.anonymous',
    CORS_ALLOWED_ORIGINS: 'use hub.cors_origins',
    DISPATCH_TIMEOUT: 'use limits.subscriber_buffer',
    GLOBAL_OPTIONS: caddy,
    HEARTBEAT_INTERVAL: 'use hub.heartbeat',
    HISTORY_SIZE: 'use history.max_count',
    JWT_ALGORITHM: keys,
    JWT_KEY: keys,
    MERCURE_EXTRA_DIRECTIVES:
      'use the settings hub.*; cinnabar import caddyfile --directives turns such lines into settings',
    MERCURE_TRANSPORT_URL: store,
    PUBLISHER_JWT_ALGORITHM: keys,
    PUBLISHER_JWT_KEY: keys,
    PUBLISH_ALLOWED_ORIGINS: 'use hub.publish_origins',
    SUBSCRIBER_JWT_ALGORITHM: keys,
    SUBSCRIBER_JWT_KEY: keys,
    TRANSPORT_URL: store,
    USE_FORWARDED_HEADERS: 'use proxy.trusted',
  }),
)

function hintFor(name: string): string | null {
  if (mapped.includes(name)) return null
  const hint = refused.get(name)
  if (hint !== undefined) return hint
  if (name.startsWith('CADDY_')) return caddy
  return name.startsWith('MERCURE_') ? 'use the settings of this hub: see cinnabar serve --help' : null
}

class Reading implements Source {
  readonly givens: Given[] = []
  readonly whole: string[] = []
  readonly problems: Problem[] = []
  readonly #env: Environment
  readonly #around: Around

  constructor(env: Environment, around: Around) {
    this.#env = env
    this.#around = around
  }

  read(): void {
    for (const [name, raw] of Object.entries(this.#env)) {
      const hint = raw === undefined || raw === '' ? null : hintFor(name)
      if (hint !== null) this.#refuse(name, `is a name of another hub and is not read here; ${hint}`)
    }
    this.#readKeys()
    this.#readServerName()
  }

  #readKeys(): void {
    const roles = ['PUBLISHER', 'SUBSCRIBER'].filter((role) => this.#value(`MERCURE_${role}_JWT_KEY`) !== '')
    const issuers = this.#value('MERCURE_TRUSTED_ISSUERS')
      .split(/[\s,]+/)
      .filter((id) => id !== '')
    if (roles.length === 0 && issuers.length > 0) {
      this.#refuse('MERCURE_TRUSTED_ISSUERS', 'needs MERCURE_PUBLISHER_JWT_KEY or MERCURE_SUBSCRIBER_JWT_KEY')
    } else if (roles.length > 0 && issuers.length === 0 && !this.#isLegacy()) {
      const hint = 'tokens name their issuer: set MERCURE_TRUSTED_ISSUERS, or hub.legacy for tokens of 0.x'
      this.#refuse(`MERCURE_${roles[0]}_JWT_KEY`, `is bound to no issuer; ${hint}`)
    } else if (roles.length > 0) {
      this.#bind(issuers.length === 0 ? [legacyIssuer] : issuers, roles)
      const isMeant = issuers.length === 0 && this.#around.isLegacy === null
      if (isMeant) this.#give('CINNABAR_HUB_LEGACY', '8', `MERCURE_${roles[0]}_JWT_KEY`)
    }
  }

  /** Keys without an issuer are those of a 0.x installation, unless something else is said. */
  #isLegacy(): boolean {
    return this.#around.isLegacy ?? !this.#around.hasIssuers
  }

  #bind(issuers: readonly string[], roles: readonly string[]): void {
    for (const [index, id] of issuers.entries()) {
      const named = issuers[0] === legacyIssuer ? `MERCURE_${roles[0]}_JWT_KEY` : 'MERCURE_TRUSTED_ISSUERS'
      this.#give(`CINNABAR_ISSUERS_${index}_ID`, id, named)
      for (const role of roles) {
        const name = `MERCURE_${role}_JWT`
        this.#give(`CINNABAR_ISSUERS_${index}_${role}_KEY`, this.#value(`${name}_KEY`), `${name}_KEY`)
        const algorithm = this.#value(`${name}_ALG`) || 'HS256'
        this.#give(`CINNABAR_ISSUERS_${index}_${role}_ALGORITHM`, algorithm, `${name}_ALG`)
      }
    }
  }

  #readServerName(): void {
    const sites = this.#value('SERVER_NAME')
      .split(/[\s,]+/)
      .filter((site) => site !== '')
    const listen = sites.map((site) => listenOf(site, this.#around.hasTls))
    if (listen.includes(null)) {
      const hint = 'write :80 or http://host, or set tls.cert_file and tls.key_file'
      this.#refuse('SERVER_NAME', `asks for automatic certificates, which this hub does not make; ${hint}`)
    } else if (listen.length > 0) {
      this.#give('CINNABAR_LISTEN', [...new Set(listen)], 'SERVER_NAME')
    }
  }

  #value(name: string): string {
    return this.#env[name] ?? ''
  }

  #give(env: string, raw: unknown, name: string): void {
    const found = findEnv(env)
    if (found === null) throw new Error(`there is no setting ${env}`)
    this.givens.push({ ...found, raw, origin: { kind: 'environment', name } })
  }

  #refuse(name: string, message: string): void {
    this.problems.push(problem(name, message))
  }
}

/**
 * The address on which that image would listen for a site, or null when it would serve it with automatic certificates.
 * A domain name selects requests there, it is not an interface: such a site listens on all interfaces.
 */
export function listenOf(site: string, hasTls: boolean): string | null {
  const [, scheme, host = '', port] = /^(?:(https?):\/\/)?(\[[^\]]*\]|[^:/]*)(?::(\d+))?\/?$/.exec(site) ?? []
  const isAddress = host.startsWith('[') || /^[0-9.]+$/.test(host)
  const isPlain =
    scheme === 'http' || host === '' || ((isAddress || host === 'localhost') && port !== undefined)
  if (scheme === 'https' || !isPlain || port === '443') {
    return hasTls ? `${isAddress ? host : '0.0.0.0'}:${port ?? '443'}` : null
  }
  const isBindable = isAddress || (host === 'localhost' && scheme === undefined)
  return `${isBindable ? host : '0.0.0.0'}:${port ?? '80'}`
}
