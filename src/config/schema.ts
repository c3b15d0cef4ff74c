import * as v from 'valibot'
import { matcherTypes } from '../protocol/matcher.ts'
import {
  fieldName,
  hubPath,
  jwksUri,
  listenAddress,
  network,
  originPattern,
  otlpEndpoint,
  publicUrl,
  redisUrl,
  resourceIdentifier,
  sentinelUrl,
} from './addresses.ts'
import {
  bool,
  choice,
  count,
  duration,
  type Kind,
  kind,
  list,
  orNone,
  share,
  size,
  text,
  unlimited,
  WrongValue,
} from './values.ts'

/**
 * Every setting of the hub: its type, its default, its meaning and whether it is a secret. Flags, environment
 * names, file keys, help and the reference page all come from here. A member in camelCase is written in
 * snake_case in the file, with dashes as a flag and in capitals in the environment.
 */

/** The meaning of one setting beyond its type. */
export interface Meaning {
  readonly form: string
  readonly help: string
  /** The default as an operator would write it; null: none, the setting may be absent. */
  readonly fallback: string | null
  readonly secret: boolean
  /** Whether a running hub keeps its value until the next start, so that a reload does not change it. */
  readonly restart: boolean
  readonly isList: boolean
}

const algorithms = [
  ...['EdDSA', 'Ed25519', 'ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['HS256', 'HS384', 'HS512'],
] as const

const algorithm = choice(algorithms)

// A key set is public, so a shared secret cannot be in it (AUT-23).
const setAlgorithm = choice(algorithms.filter((name) => !name.startsWith('HS')))

// Braces in a name would say what belongs to one slot of a cluster: the hub writes them itself.
const keyPrefix: Kind<string> = kind('text without braces', (raw) => {
  const prefix = text.read(raw)
  if (!/^[^{}\s]+$/.test(prefix)) throw new WrongValue('is empty, or holds a brace or a blank')
  return prefix
})

const cookieName: Kind<string> = kind('cookie name', (raw) => {
  if (typeof raw !== 'string' || !/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(raw)) {
    throw new WrongValue('is not a cookie name')
  }
  return raw
})

/** Shorter ones could be guessed. A field of a request carries it, so it is visible ASCII. */
const consoleToken: Kind<string> = kind('text of 32 characters or more', (raw) => {
  if (typeof raw !== 'string' || raw.length < 32) throw new WrongValue('has fewer than 32 characters')
  if (!/^[\x21-\x7e]+$/.test(raw)) throw new WrongValue('holds a character that is not visible ASCII')
  return raw
})

const keptCount = unlimited(count({ zero: true, example: '100000' }))
const keptAge = unlimited(duration({ zero: false, example: 'an age such as 24h, or the word unlimited' }))
const keptBytes = unlimited(size({ zero: false, example: 'a size such as 256MiB, or the word unlimited' }))

// For settings of parts that the hub opens once, or that open streams stand on.
const restart = { restart: true }

const role = v.exactOptional(
  v.object({
    key: absent(text, 'verification key: a shared secret, a PEM or a JWK', { secret: true }),
    algorithm: absent(algorithm, 'the one algorithm of `key`'),
    jwksUri: absent(jwksUri, 'where the JWK Set of the issuer is'),
    jwksInsecure: absent(bool, 'whether `jwks_uri` may be http or an internal address; `false` unless given'),
    algorithms: absent(list(setAlgorithm), 'algorithms accepted with `jwks_uri`'),
  }),
)

/** The one schema. */
export const schema = v.object({
  listen: setting(list(listenAddress), '0.0.0.0:3000', '`host:port`, `[::]:port` or `unix:/path`', restart),
  admin: v.object({
    listen: setting(
      orNone(listenAddress),
      '127.0.0.1:3001',
      'health, metrics and console; empty turns it off',
      restart,
    ),
    console: setting(bool, 'false', 'the console on the admin listener; needs `admin.token`', restart),
    token: setting(orNone(consoleToken), '', 'opens the console; 32 characters or more', { secret: true }),
    payloads: setting(
      choice(['none', 'public', 'all']),
      'public',
      'whose data the console shows: that of no update, of public ones or of all',
    ),
    actions: setting(
      bool,
      'true',
      'whether the console may change anything: publish, make tokens, disconnect and prune',
    ),
    publicUrls: setting(
      list(publicUrl),
      '',
      'origins by which the admin listener is reached, behind a proxy or by a name; other names get 421',
    ),
  }),
  tls: v.object({
    certFile: setting(orNone(text), '', 'certificate chain in PEM; turns HTTPS on, together with the key'),
    keyFile: setting(orNone(text), '', 'private key in PEM; both files are read again when they change'),
  }),
  http2: setting(bool, 'true', 'HTTP/2: by ALPN, and with prior knowledge without TLS', restart),
  http3: setting(bool, 'false', 'HTTP/3; needs TLS', restart),
  hub: v.object({
    path: setting(hubPath, '/.well-known/mercure', 'the hub path', restart),
    publicUrls: setting(list(publicUrl), '', 'origins that the hub answers on; others get 421; empty: all'),
    resourceIdentifier: setting(
      orNone(resourceIdentifier),
      '',
      'expected in `aud`; empty: the first public URL and the hub path, else derived from the request',
    ),
    anonymous: setting(bool, 'false', 'whether subscribers need no token'),
    subscriptions: setting(bool, 'false', 'subscription events and the subscription API', restart),
    presenceGrace: setting(
      duration({ zero: true, example: '2s' }),
      '2s',
      'how long the end of a subscription is held back for a holder who reconnects; 0 = not at all',
      restart,
    ),
    legacy: setting(choice(['off', '8', '7']), 'off', 'the 0.x generation beside 1.0', restart),
    legacyIssuer: setting(
      orNone(text),
      '',
      'the issuer whose keys verify 0.x tokens that name no trusted one; empty: the only issuer, else none',
      restart,
    ),
    cookieName: setting(cookieName, '__Secure-mercure_access_token', 'the cookie that may hold the token'),
    corsOrigins: setting(list(originPattern), '', 'origins whose pages may read'),
    corsHeaders: setting(list(fieldName), '', 'further request fields that pages may send, for preflights'),
    publishOrigins: setting(list(originPattern), '', 'origins whose pages may publish with the cookie'),
    heartbeat: setting(
      duration({ zero: true, example: '20s' }),
      '20s',
      'a comment line after this silence; common clients give up after 45 s; 0 = never',
    ),
    vanishedAfter: setting(
      duration({ zero: true, example: '60s' }),
      '60s',
      'a reader that acknowledges nothing for so long is given up; 0 = as long as the kernel tries',
    ),
    retry: setting(
      duration({ zero: true, example: '2s' }),
      '0',
      'the reconnection time that readers are told; 0 = not sent',
    ),
    connectionLifetime: setting(
      duration({ zero: true, example: '1h' }),
      '1h',
      'a connection ends between 80 % and 100 % of it; 0 = unlimited',
    ),
  }),
  issuers: v.array(
    v.object({
      id: required(text, 'the `iss` of its tokens'),
      authorizationServer: absent(resourceIdentifier, 'the authorization server to announce to clients'),
      publisher: role,
      subscriber: role,
    }),
  ),
  transport: setting(
    choice(['sqlite', 'memory', 'local', 'redis']),
    'sqlite',
    'where the history is: a file, this process, nowhere (live only), or a Redis server',
    restart,
  ),
  sqlite: v.object({
    path: setting(text, 'cinnabar.db', 'the history file', restart),
    durability: setting(
      choice(['full', 'normal']),
      'full',
      'an accepted update survives power loss (`full`) or a crash of the process (`normal`)',
      restart,
    ),
  }),
  history: v.object({
    maxCount: setting(keptCount, '100000', 'newest updates kept; 0 = none', restart),
    maxAge: setting(
      keptAge,
      '24h',
      'older updates are dropped, whether anything is published or not',
      restart,
    ),
    maxBytes: setting(
      keptBytes,
      '256MiB',
      'stored bytes kept; the file stays within 1.25 times this plus 8 MiB',
      restart,
    ),
    ownEvents: setting(
      share,
      '10%',
      'the share of the two limits above that subscription events have to themselves; updates have the rest',
      { restart: true },
    ),
    rules: v.array(
      v.object({
        match: required(text, 'the topics that the rule is for', restart),
        matchType: setting(choice(matcherTypes), 'exact', 'how `match` is read', restart),
        maxCount: absent(keptCount, 'newest updates kept; 0 = none', restart),
        maxAge: absent(keptAge, 'age at which they are dropped', restart),
        maxBytes: absent(keptBytes, 'stored bytes kept', restart),
        perTopic: setting(bool, 'false', 'whether the limits hold for each topic on its own', restart),
      }),
    ),
  }),
  redis: v.object({
    url: setting(
      orNone(redisUrl),
      '',
      'the server: `redis:`, `rediss:` (TLS) or `unix:`; `transport = "redis"` needs it, or Sentinels',
      { ...restart, secret: true },
    ),
    sentinels: setting(
      list(sentinelUrl),
      '',
      'Sentinels that know where the server is; `rediss:` says that it and they speak TLS',
      restart,
    ),
    sentinelName: setting(orNone(text), '', 'the name that the Sentinels have for the server', restart),
    username: setting(orNone(text), '', 'the user of the server; before one in `url`', restart),
    password: setting(orNone(text), '', 'the password; before one in `url`', { ...restart, secret: true }),
    caFile: setting(
      orNone(text),
      '',
      'certificates in PEM that TLS trusts; empty: those of the system',
      restart,
    ),
    prefix: setting(
      keyPrefix,
      'cinnabar',
      'what the names of the keys begin with; hubs with the same prefix are one hub',
      restart,
    ),
    timeout: setting(
      duration({ zero: false, example: '5s' }),
      '5s',
      'a publisher waits so long for the server, then 503',
      restart,
    ),
    replicas: setting(
      count({ zero: true, example: '1' }),
      '0',
      'replicas that must have an update before it is accepted; fewer: 503',
      restart,
    ),
    node: setting(orNone(text), '', 'the name of this node in the log; empty: that of the machine', restart),
  }),
  limits: v.object({
    memory: setting(
      size({ zero: true, example: '512MiB' }),
      '0',
      'resident memory above which load is shed; 0 = none; not given in a container: 80 % of what that has',
      restart,
    ),
    subscribers: setting(
      count({ zero: false, example: '100000' }),
      '100000',
      'connections in total; over it 429 with `Retry-After`',
    ),
    subscribersPerIp: setting(
      count({ zero: true, example: '100' }),
      '0',
      'connections per address; 0 = unlimited',
    ),
    subscribersPerToken: setting(
      count({ zero: true, example: '10' }),
      '0',
      'connections per token; 0 = unlimited',
    ),
    subscriberBuffer: setting(
      size({ zero: false, example: '1MiB' }),
      '1MiB',
      'bytes waiting for one slow reader; over it the connection is closed',
    ),
    publishRate: setting(
      count({ zero: true, example: '100' }),
      '0',
      'updates per second and token, with a burst; over it 429; 0 = unlimited',
    ),
    body: setting(
      size({ zero: true, example: '1MiB' }),
      '1MiB',
      'a request body; over it 413; 0 = unlimited',
    ),
    bodies: setting(
      size({ zero: true, example: '64MiB' }),
      '64MiB',
      'request bodies that are being received, in sum; over it 503; 0 = unlimited',
    ),
    bodyRate: setting(
      size({ zero: false, example: '1KiB' }),
      '1KiB',
      'bytes per second with which a body comes on average; below it, after `limits.idle`, 408',
    ),
    idle: setting(
      duration({ zero: false, example: '75s' }),
      '75s',
      'an idle connection is closed after it, and a body that stands still refused with 408; at most 255s',
      restart,
    ),
    topics: setting(count({ zero: false, example: '1000' }), '1000', 'topics of one update; over it 413'),
    field: setting(
      count({ zero: false, example: '4096' }),
      '4096',
      'length of one topic, id or type of an update; over it 413',
    ),
    id: setting(
      size({ zero: false, example: '1KiB' }),
      '1KiB',
      'bytes of one event id, which a reader sends back in a field of its next request (all its fields have 16 KiB); over it 413',
    ),
    matchers: setting(count({ zero: false, example: '100' }), '100', 'matchers of one request; over it 400'),
    pattern: setting(count({ zero: false, example: '4096' }), '4096', 'length of one matcher; over it 400'),
    patternWeight: setting(
      count({ zero: false, example: '5000' }),
      '5000',
      'what the URL patterns of one request or token weigh together: an ordinary one 4 to 10, a regular expression 1 for each character that it may take; over it 400 or 401',
    ),
    patternWeightTotal: setting(
      count({ zero: false, example: '300000' }),
      '300000',
      'what the different URL patterns of all connections and their tokens weigh together; over it 429 for a connection that adds more than 50',
    ),
    announcement: setting(
      size({ zero: true, example: '256KiB' }),
      '256KiB',
      'subscription events of one connection, in bytes; over it 400; 0 = unlimited',
    ),
    details: setting(
      count({ zero: false, example: '100' }),
      '100',
      'Mercure details of one token, and their topic entries in sum; over it 401',
    ),
  }),
  proxy: v.object({
    trusted: setting(
      list(network),
      '',
      'addresses whose `Forwarded` and `X-Forwarded-*` are believed; `unix` for the peers of Unix sockets',
    ),
    fields: setting(
      choice(['auto', 'forwarded', 'x-forwarded']),
      'auto',
      'the fields that the proxies write; `auto`: either, and neither where they contradict each other',
    ),
  }),
  log: v.object({
    level: setting(
      choice(['debug', 'info', 'warn', 'error']),
      'info',
      'the least severe line that is written',
    ),
    format: setting(
      choice(['json', 'pretty']),
      'json',
      'how lines are written; `pretty` on a terminal',
      restart,
    ),
    access: setting(
      bool,
      'false',
      'a line for each request, and for the end of each stream, at level `info`',
    ),
  }),
  telemetry: v.object({
    otlpEndpoint: setting(
      orNone(otlpEndpoint),
      '',
      'where traces go, as OTLP over HTTP: below this URL, at `/v1/traces`; empty: no traces',
      restart,
    ),
  }),
  shutdown: v.object({
    drain: setting(
      duration({ zero: true, example: '30s' }),
      '30s',
      'time over which streams are ended after SIGTERM; 0 = at once',
    ),
  }),
})

/** Properties of few settings; the others are no secrets, and a reload takes them. */
type Rare = Partial<Pick<Meaning, 'secret' | 'restart'>>

/** A setting that always has a value. */
function setting<T>(of: Kind<T>, fallback: string, help: string, rare: Rare = {}) {
  return leaf(of, { fallback, help }, rare)
}

/** A setting that must be given wherever its table is. */
function required<T>(of: Kind<T>, help: string, rare: Rare = {}) {
  return leaf(of, { fallback: null, help }, rare)
}

/** A setting that need not be there. */
function absent<T>(of: Kind<T>, help: string, rare: Rare = {}) {
  return v.exactOptional(leaf(of, { fallback: null, help }, rare))
}

function leaf<T>(of: Kind<T>, about: Pick<Meaning, 'fallback' | 'help'>, rare: Rare) {
  const unsaid = { secret: false, restart: false }
  const meaning = { ...unsaid, ...rare, ...about, form: of.form, isList: of.isList } satisfies Meaning
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, T>(({ dataset, addIssue, NEVER }) => {
      try {
        return of.read(dataset.value)
      } catch (error) {
        if (!(error instanceof WrongValue)) throw error
        addIssue({ message: error.message })
        return NEVER
      }
    }),
    v.metadata(meaning),
  )
}
