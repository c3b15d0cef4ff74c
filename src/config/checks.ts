import type * as v from 'valibot'
import { formatAddress, isLoopback, type ListenAddress, loopbacks } from './addresses.ts'
import { LOADED_HUB_BYTES, RELIEVED_SHARE } from './advice.ts'
import { type Problem, problem } from './given.ts'
import { snakeCase } from './names.ts'
import type { schema } from './schema.ts'

/** Checks between settings that are each right on their own. */

/** The effective configuration. Durations are in milliseconds, sizes in bytes; a limit of 0 is no limit. */
export type Settings = Frozen<v.InferOutput<typeof schema>>

/** Readonly all the way down. */
type Frozen<T> = T extends (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T

/** The name of a setting as the operator wrote it, or its key when it has its default. */
export type Written = (key: string) => string

type Issuer = Settings['issuers'][number]
type Role = NonNullable<Issuer['publisher']>

type Check = (settings: Settings, written: Written, isDev: boolean) => readonly Problem[]

/** Finds everything that would keep the hub from serving. Sections with broken values are not looked at again. */
export function checkSettings(
  settings: Settings,
  written: Written,
  isDev: boolean,
  broken: ReadonlySet<string>,
): readonly Problem[] {
  const whole = checks.filter(([section]) => !broken.has(section))
  return whole.flatMap(([, check]) => check(settings, written, isDev))
}

const checks: readonly (readonly [section: string, check: Check])[] = [
  ['listen', checkListeners],
  ['admin', checkConsole],
  ['tls', checkTls],
  ['issuers', checkIssuers],
  ['limits', checkIdle],
  ['history', checkRules],
  ['redis', checkRedis],
]

/** Warns about values that are allowed and probably not meant. */
export function warnAbout(settings: Settings, written: Written): readonly Problem[] {
  const { hub, issuers } = settings
  const warnings: Problem[] = []
  const warn = (key: string, message: string) => warnings.push(problem(written(key), message))
  if (hub.heartbeat >= 45_000) warn('hub.heartbeat', 'common clients give up after 45 s of silence')
  if (hub.heartbeat === 0) warn('hub.heartbeat', 'without heartbeats a lost reader is not noticed')
  if (issuers.length === 0)
    warn('issuers', hub.anonymous ? 'no one may publish' : 'no one may publish or subscribe')
  for (const [at, issuer] of issuers.entries()) {
    for (const role of ['publisher', 'subscriber'] as const) {
      if (issuer[role]?.jwksInsecure !== true) continue
      warn(
        `issuers[${at}].${role}.jwks_insecure`,
        'whoever is between the hub and this key set can forge tokens',
      )
    }
  }
  for (const key of ['corsOrigins', 'publishOrigins'] as const) {
    const name = key === 'corsOrigins' ? 'hub.cors_origins' : 'hub.publish_origins'
    // SUB-103
    if (hub[key].includes('null')) warn(name, 'any sandboxed page has the origin null')
    if (hub[key].includes('*') && issuers.length > 0) warn(name, '* admits every web page')
  }
  if (hub.legacy !== 'off' && written('hub.legacy').startsWith('MERCURE_'))
    warn('hub.legacy', 'is bound to no issuer: tokens of 0.x are accepted, as with hub.legacy = "8"')
  if (hub.legacy === 'off' && hub.legacyIssuer !== null)
    warn('hub.legacy_issuer', 'does nothing while hub.legacy is off')
  if (hub.legacy !== 'off' && hub.legacyIssuer === null && issuers.length > 1)
    warn('hub.legacy', 'tokens that name no issuer are refused: set hub.legacy_issuer')
  warnAboutLimits(settings, warn)
  warnAboutConsole(settings, warn)
  const unreachable = unreachableUrls(settings)
  if (unreachable.length > 0) {
    const cure = 'set proxy.trusted to the address of the proxy that clients connect to'
    const own = settings.tls.certFile === null ? 'has no TLS (tls.cert_file)' : 'has TLS'
    warn('hub.public_urls', `${unreachable.join(' ')} will be answered 421: the hub ${own}; ${cure}`)
  }
  const { body, bodies } = settings.limits
  if (bodies > 0 && (body === 0 || body > bodies))
    warn('limits.bodies', 'is less than limits.body: no body may be larger')
  const needed = LOADED_HUB_BYTES / RELIEVED_SHARE
  if (settings.limits.memory > 0 && settings.limits.memory < needed) {
    const amount = `${Math.ceil(needed / 2 ** 20)} MiB`
    warn('limits.memory', `the hub may need ${amount}, and sheds load above the limit`)
  }
  return warnings
}

function warnAboutConsole({ admin }: Settings, warn: (key: string, message: string) => void): void {
  if (!admin.console) return
  if (admin.listen === null) warn('admin.console', 'is nowhere: admin.listen is empty')
  else if (!isLoopback(admin.listen))
    warn('admin.listen', 'the token of the console needs TLS in front, or loopback and ssh -L')
}

function warnAboutLimits({ hub, limits }: Settings, warn: (key: string, message: string) => void): void {
  if (limits.body === 0 || limits.body > limits.subscriberBuffer)
    warn('limits.body', 'above limits.subscriber_buffer: one update may cut every reader that is not quick')
  if (limits.id > FIELD_BYTES_MAX)
    warn('limits.id', 'readers could not send such ids back: a request has 16 KiB of fields')
  if (limits.matchers * PATTERN_WEIGHT_MIN > limits.patternWeight)
    warn('limits.matchers', 'so many URL patterns weigh more than limits.pattern_weight')
  if (hub.corsHeaders.length > 0 && hub.corsOrigins.length === 0)
    warn('hub.cors_headers', 'says nothing without hub.cors_origins')
}

/** Bytes that all fields of a request may have, less those that other fields need. */
const FIELD_BYTES_MAX = 8 * 1024

/** The weight of the lightest URL pattern. */
const PATTERN_WEIGHT_MIN = 4

/** Public URLs with a scheme that the hub does not speak, where it would not believe a proxy that speaks it. */
function unreachableUrls({ hub, tls, proxy }: Settings): readonly string[] {
  if (proxy.trusted.length > 0) return []
  const scheme = tls.certFile === null ? 'http:' : 'https:'
  return hub.publicUrls.filter((url) => URL.parse(url)?.protocol !== scheme)
}

function checkListeners(settings: Settings, written: Written, isDev: boolean): readonly Problem[] {
  const { admin, listen } = settings
  const problems: Problem[] = []
  if (listen.length === 0) problems.push(problem(written('listen'), 'is empty: the hub would listen nowhere'))
  const addresses: (readonly [key: string, address: ListenAddress])[] = listen.map((each) => ['listen', each])
  if (admin.listen !== null) addresses.push(['admin.listen', admin.listen])
  const seen = new Set<string>()
  for (const [key, address] of addresses) {
    const text = formatAddress(address)
    const places = loopbacks(address).map(formatAddress)
    if (places.some((place) => seen.has(place)) && !text.endsWith(':0')) {
      problems.push(problem(written(key), `${text} is given twice`))
    }
    if (isDev && !isLoopback(address)) {
      problems.push(problem(written(key), `${text} is refused: --dev listens on loopback only`))
    }
    for (const place of places) seen.add(place)
  }
  return problems
}

/** Without a token every program of the machine could change what the hub does, on loopback as well. */
function checkConsole({ admin }: Settings, written: Written): readonly Problem[] {
  if (!admin.console || admin.token !== null) return []
  return [problem(written('admin.console'), 'needs admin.token, a secret of 32 characters or more')]
}

function checkTls({ tls, http3 }: Settings, written: Written): readonly Problem[] {
  if (tls.certFile !== null && tls.keyFile === null) {
    return [problem(written('tls.cert_file'), 'needs tls.key_file beside it')]
  }
  if (tls.certFile === null && tls.keyFile !== null) {
    return [problem(written('tls.key_file'), 'needs tls.cert_file beside it')]
  }
  const lacksTls = http3 && tls.certFile === null
  return lacksTls ? [problem(written('http3'), 'needs tls.cert_file and tls.key_file')] : []
}

function checkIssuers(settings: Settings, written: Written): readonly Problem[] {
  return [
    ...settings.issuers.flatMap((issuer, at) => checkIssuer(issuer, at, settings, written)),
    ...checkLegacyIssuer(settings, written),
  ]
}

function checkLegacyIssuer({ hub, issuers }: Settings, written: Written): readonly Problem[] {
  const { legacyIssuer } = hub
  if (hub.legacy === 'off' || legacyIssuer === null || issuers.some(({ id }) => id === legacyIssuer))
    return []
  return [problem(written('hub.legacy_issuer'), `${JSON.stringify(legacyIssuer)} is the id of no issuer`)]
}

/** Checks one issuer (AUT-39). Whether a key fits its algorithm shows when the hub opens the key. */
function checkIssuer(issuer: Issuer, at: number, settings: Settings, written: Written): readonly Problem[] {
  const key = `issuers[${at}]`
  const problems: Problem[] = []
  if (settings.issuers.findIndex(({ id }) => id === issuer.id) < at) {
    problems.push(problem(written(`${key}.id`), 'is the id of an earlier issuer too'))
  }
  if (issuer.publisher === undefined && issuer.subscriber === undefined) {
    problems.push(
      problem(written(`${key}.id`), 'has no key: set publisher.key or subscriber.key, or a jwks_uri'),
    )
  }
  if (issuer.publisher !== undefined)
    problems.push(...checkRole(issuer.publisher, `${key}.publisher`, written))
  if (issuer.subscriber !== undefined)
    problems.push(...checkRole(issuer.subscriber, `${key}.subscriber`, written))
  return problems
}

function checkRole(role: Role, key: string, written: Written): readonly Problem[] {
  const refuse = (member: string, message: string) => [
    problem(written(`${key}.${snakeCase(member)}`), message),
  ]
  if (role.key !== undefined) {
    if (role.jwksUri !== undefined)
      return refuse('jwks_uri', 'stands beside a key: there is one or the other')
    if (role.algorithm === undefined) return refuse('key', `has no algorithm: set ${key}.algorithm`)
    if (role.jwksInsecure !== undefined) return refuse('jwksInsecure', 'goes with jwks_uri')
    return role.algorithms === undefined
      ? []
      : refuse('algorithms', 'goes with jwks_uri; a key has algorithm')
  }
  if (role.jwksUri === undefined)
    return refuse(Object.keys(role)[0] ?? 'key', 'has no key or jwks_uri beside it')
  return role.algorithm === undefined ? [] : refuse('algorithm', 'goes with a key; jwks_uri has algorithms')
}

/** The longest time that Bun can wait. */
const IDLE_MS_MAX = 255_000

function checkIdle({ limits }: Settings, written: Written): readonly Problem[] {
  return limits.idle > IDLE_MS_MAX ? [problem(written('limits.idle'), 'is longer than 255s')] : []
}

function checkRules({ history }: Settings, written: Written): readonly Problem[] {
  return history.rules.flatMap((rule, at) => {
    const limits = [rule.maxCount, rule.maxAge, rule.maxBytes]
    if (limits.some((limit) => limit !== undefined)) return []
    const name = written(`history.rules[${at}].match`)
    return [problem(name, 'has no limit: set max_count, max_age or max_bytes')]
  })
}

function checkRedis({ transport, redis }: Settings, written: Written): readonly Problem[] {
  if (transport !== 'redis') return []
  const { url, sentinels, sentinelName } = redis
  const refuse = (key: string, message: string) => [problem(written(key), message)]
  if (sentinels.length > 0) {
    if (url !== null) return refuse('redis.sentinels', 'stands beside redis.url: there is one or the other')
    return sentinelName === null ? refuse('redis.sentinel_name', 'is needed with redis.sentinels') : []
  }
  if (sentinelName !== null) return refuse('redis.sentinel_name', 'needs redis.sentinels beside it')
  return url === null ? refuse('redis.url', `is needed with ${written('transport')} redis`) : []
}
