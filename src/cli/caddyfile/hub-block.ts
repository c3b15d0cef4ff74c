import type { Directive } from './blocks.ts'
import type { Draft } from './draft.ts'
import { expandPlaceholders, hasPlaceholder } from './environment.ts'
import { Keys, nameOf } from './keys.ts'
import { boltUrl, durationOf, sizeOf } from './values.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Reads the lines of a `mercure` block into the draft, one after the other. */
export function readHubBlock(lines: readonly Directive[], draft: Draft, env: Environment): void {
  const keys = new Keys(draft, env)
  const hub: Reading = { draft, keys }
  const seen = new Map<string, Directive>()
  for (const line of lines) {
    const read = Object.hasOwn(directives, line.name) ? directives[line.name] : undefined
    const before = seen.get(line.name)
    if (read === undefined) draft.problem(line.line, `${nameOf(line)} is not known here`)
    else if (line.block !== null && !hasBlock.has(line.name))
      draft.problem(line.line, `${line.name} has a block that is not understood`)
    else if (before === undefined || line.name === 'issuer') {
      seen.set(line.name, line)
      read(expanded(line, draft, env), hub)
    } else if (isSame(before, line))
      draft.remark(line.line, `${line.name}: the same as in line ${before.line}`)
    else draft.problem(line.line, `${line.name} is there again: line ${before.line} was taken`)
  }
  if (keys.isImplicit) draft.set('hub.legacy', '8', 'Keys without an issuer are those of 0.x.')
  keys.finish()
  if (!draft.has('transport') && !lines.some(({ name }) => name.startsWith('transport')))
    keptEverything(draft)
}

const hasBlock: ReadonlySet<string> = new Set(['issuer', 'transport'])

function isSame(one: Directive, other: Directive): boolean {
  return one.block === null && other.block === null && one.args.join('\n') === other.args.join('\n')
}

interface Reading {
  readonly draft: Draft
  readonly keys: Keys
}

type Read = (directive: Directive, hub: Reading) => void

/** The directives of 0.x and 1.0, each with its way into the settings. */
export const directives: Readonly<Record<string, Read>> = {
  issuer: (line, { keys }) => keys.readIssuer(line),
  publisher_jwt: (line, { keys }) => keys.readImplicit('publisher', 'jwt', line),
  subscriber_jwt: (line, { keys }) => keys.readImplicit('subscriber', 'jwt', line),
  publisher_jwks_url: (line, { keys }) => keys.readImplicit('publisher', 'jwks', line),
  subscriber_jwks_url: (line, { keys }) => keys.readImplicit('subscriber', 'jwks', line),
  resource_identifier: one((value) => ({ key: 'hub.resource_identifier', value })),
  public_urls: several('hub.public_urls', originOf),
  anonymous: flag('hub.anonymous'),
  subscriptions: flag('hub.subscriptions'),
  publish_origins: several('hub.publish_origins'),
  cors_origins: several('hub.cors_origins'),
  cookie_name: one((value) => ({ key: 'hub.cookie_name', value })),
  protocol_version_compatibility: one((value) =>
    value === '7' || value === '8' ? { key: 'hub.legacy', value } : null,
  ),
  heartbeat: duration('hub.heartbeat'),
  write_timeout: duration(
    'hub.connection_lifetime',
    'A connection ends between 80 % and 100 % of it, so that readers do not all come back at once.',
  ),
  max_request_body_size: one((value) => {
    const bytes = sizeOf(value)
    return bytes === null ? null : { key: 'limits.body', value: bytes }
  }),
  transport: readTransport,
  transport_url: readTransportUrl,
  dispatch_timeout: remark('a slow reader is cut by what waits for it: limits.subscriber_buffer, 1MiB'),
  topic_selector_cache: remark('not needed: the memory for topics is bounded'),
  topic_matcher_cache: remark('not needed: the memory for topics is bounded'),
  subscriber_list_cache_size: remark('not needed: there is no such cache'),
  cache: remark('not needed: there is no such cache'),
  demo: remark('a hub to try things out is cinnabar serve --dev'),
  ui: remark('see admin.console'),
  debugger: remark('see admin.console'),
  playground: remark('a hub to try things out is cinnabar serve --dev'),
}

function expanded(directive: Directive, draft: Draft, env: Environment): Directive {
  // Keys put their own placeholders in: a value that is missing leaves a gap there, and nothing else.
  if (directive.name === 'issuer' || /_jw(t|ks_url)$/.test(directive.name)) return directive
  const args = directive.args.map((arg) => {
    const { text, missing } = expandPlaceholders(arg, env)
    for (const name of missing)
      draft.problem(directive.line, `${name} has no value here: set it and run this again`)
    if (hasPlaceholder(text))
      draft.problem(directive.line, `${directive.name} has a placeholder that is not known here`)
    return text
  })
  return { ...directive, args, block: directive.block?.map((one) => expanded(one, draft, env)) ?? null }
}

interface Setting {
  readonly key: string
  readonly value: string
}

/** A directive of one value; null: the value is none that is known. */
function one(settingOf: (value: string) => Setting | null, why = ''): Read {
  return ({ name, args, line }, { draft }) => {
    const [value, ...more] = args
    const setting = value === undefined || more.length > 0 ? null : settingOf(value)
    if (setting === null) draft.problem(line, `${name} has a value that is not understood`)
    else draft.set(setting.key, setting.value, from(line, name, why))
  }
}

function duration(key: string, why = ''): Read {
  return one((text) => {
    const value = durationOf(text)
    return value === null ? null : { key, value }
  }, why)
}

/** A directive of some values. `read` answers null for one that cannot be taken over. */
function several(key: string, read: (value: string) => string | null = (value) => value): Read {
  return ({ name, args, line }, { draft }) => {
    const values = args.flatMap((arg) => arg.split(/[\s,]+/)).filter((value) => value !== '')
    const taken = values.map(read)
    if (values.length === 0 || taken.includes(null)) {
      draft.problem(line, `${name} has a value that is not understood`)
    }
    const known = taken.filter((value) => value !== null)
    if (known.length > 0) draft.set(key, known, from(line, name))
  }
}

function flag(key: string): Read {
  return ({ name, args, line }, { draft }) => {
    if (args.length > 0) draft.problem(line, `${name} takes no value`)
    else draft.set(key, true, from(line, name))
  }
}

function remark(text: string): Read {
  return ({ name, line }, { draft }) => draft.remark(line, `${name}: ${text}`)
}

/** A public URL may have the path of the hub, which is a setting of its own here. */
function originOf(url: string): string | null {
  const parsed = URL.parse(url)
  const isKnown = parsed !== null && ['/', '/.well-known/mercure'].includes(parsed.pathname)
  return isKnown && parsed.search === '' && parsed.hash === '' ? parsed.origin : null
}

function from(line: number, name: string, why = ''): string {
  return `line ${line}: ${name}${why === '' ? '' : `\n${why}`}`
}

function readTransport({ args, block, line }: Directive, { draft }: Reading): void {
  const [name, ...more] = args
  if (draft.has('transport')) secondTransport(line, draft)
  else if (name === 'bolt' && more.length === 0) {
    const options = new Map<string, string>()
    for (const option of block ?? []) {
      if (options.has(option.name) || option.args.length !== 1 || option.block !== null)
        draft.problem(option.line, `${nameOf(option)} is there again, or has not one value`)
      else options.set(option.name, option.args[0] ?? '')
    }
    readBolt(options, line, draft)
  } else if (name === 'local' && more.length === 0)
    draft.set('transport', 'local', from(line, 'transport local'))
  else otherTransport(line, draft)
}

function readTransportUrl({ args, line }: Directive, { draft }: Reading): void {
  const [url = '', ...more] = args
  const bolt = more.length > 0 ? null : boltUrl(url)
  if (draft.has('transport')) secondTransport(line, draft)
  else if (bolt !== null) readBolt(bolt, line, draft)
  else if (url.startsWith('local:')) draft.set('transport', 'local', from(line, 'transport_url'))
  else otherTransport(line, draft)
}

function secondTransport(line: number, draft: Draft): void {
  draft.problem(line, 'a second transport: the first one was taken')
}

function otherTransport(line: number, draft: Draft): void {
  draft.problem(
    line,
    'the transport is none of bolt and local: transport is sqlite, memory, local or redis here',
  )
}

/** The history of the other hub is another file; a count is kept as it was, and the rest of the limits is said. */
function readBolt(options: ReadonlyMap<string, string>, line: number, draft: Draft): void {
  const { path = 'mercure.db', bucket_name: bucket = '', size = '0' } = Object.fromEntries(options)
  const more = bucket === '' || bucket === 'updates' ? '' : ` --bucket ${bucket}`
  const move = `To take the history along: cinnabar history import --from bolt ${path}${more}`
  draft.set('transport', 'sqlite', from(line, 'transport bolt', move))
  const folder = path.slice(0, path.lastIndexOf('/') + 1)
  draft.set('sqlite.path', `${folder}cinnabar.db`, 'A file of its own, in the folder of the other.')
  for (const name of options.keys()) {
    if (!['path', 'bucket_name', 'size', 'cleanup_frequency'].includes(name)) {
      draft.problem(line, 'the transport has an option that is not known here')
    }
  }
  if (options.has('cleanup_frequency'))
    draft.remark(line, 'cleanup_frequency: limits hold exactly, at each update')
  if (!/^\d{1,15}$/.test(size)) draft.problem(line, 'the size of the history is no number')
  else if (Number(size) === 0) keptEverything(draft, line)
  else {
    draft.set('history.max_count', Number(size), from(line, 'size'))
    draft.set(
      'history.max_age',
      'unlimited',
      'The other hub knows no age. 24h is what this one has by default.',
    )
  }
}

function keptEverything(draft: Draft, line: number | null = null): void {
  draft.remark(
    line,
    'the other hub kept every update; this one keeps 100000, for 24h, in 256MiB unless history.* says otherwise',
  )
}
