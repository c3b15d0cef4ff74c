import type { KeySettings, Role } from '../auth/keys.ts'
import { authorizationDetails, type MintOptions, mint } from '../auth/mint.ts'
import type { Arguments, CommandLine } from '../command/arguments.ts'
import {
  CommandFailure,
  type CommandIo,
  configure,
  type ExitCode,
  misused,
  randomText,
  runCommand,
  UsageError,
} from '../command/command.ts'
import { messageOf, reasonOf } from '../command/failure.ts'
import { readValue } from '../command/numbers.ts'
import type { Configuration, Settings } from '../config/load.ts'
import { hubUrl } from '../config/location.ts'
import { nearest } from '../config/names.ts'
import { parseDuration, parseJson, WrongValue } from '../config/values.ts'
import { ProtocolError } from '../protocol/error.ts'
import { type JsonObject, parseAuthorizationDetails } from '../protocol/grant.ts'
import { hubLocation } from '../protocol/topic.ts'
import { finish } from '../protocol/work.ts'
import { matchersIn } from './matchers.ts'
import { runTokenExplain } from './token-explain.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'token',
  usage: '[--publish TOPIC]… [--subscribe TOPIC]… [--ttl TIME] | explain TOKEN',
  summary: `Mints a token and prints it. TOPIC is an exact topic, or * for all of them.
With this hub's configuration, the key, issuer and audience are those of its first issuer. With --dev they are those
of the hub that cinnabar serve --dev runs in this folder, or ran there last.
cinnabar token explain TOKEN says what a token is worth here.`,
  options: [
    { name: 'publish', takes: 'TOPIC', help: 'grants publishing on the topic; repeatable' },
    { name: 'subscribe', takes: 'TOPIC', help: 'grants private updates of the topic; repeatable' },
    { name: 'publish-urlpattern', takes: 'PATTERN', help: 'the same for a URL Pattern; repeatable' },
    { name: 'subscribe-urlpattern', takes: 'PATTERN', help: 'the same for a URL Pattern; repeatable' },
    { name: 'payload', takes: 'JSON', help: 'an object shown beside the subscriptions of the holder' },
    { name: 'ttl', takes: 'TIME', help: 'how long it is valid, such as 10m; default: 1h' },
    { name: 'iss', takes: 'ID', help: 'the issuer; default: the first one configured' },
    { name: 'aud', takes: 'URI', help: 'the audience; default: the resource identifier of the hub' },
    { name: 'sub', takes: 'NAME', help: 'the subject; default: cinnabar' },
    { name: 'key', takes: 'KEY', help: 'signs with this secret, PEM or JWK; default: the key of the issuer' },
    { name: 'key-file', takes: 'FILE', help: 'signs with the key in this file' },
    { name: 'alg', takes: 'NAME', help: 'the algorithm; default: that of the issuer, or HS256 with --key' },
    { name: 'legacy', takes: null, help: 'a token of the 0.x generation' },
  ],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar token`, and `cinnabar token explain`. */
export function runToken(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [first = ''] = argv
  if (first === 'explain') return runTokenExplain(argv.slice(1), io)
  if (nearest(first, ['explain']) !== null || isTokenLike(first)) {
    return Promise.resolve(misused(line, ['it takes no arguments; did you mean cinnabar token explain?'], io))
  }
  return runCommand(line, argv, io, async (args) => {
    const rights = rightsOf(args)
    const ttlMs = ttlOf(args)
    const loaded = configure(args.settings, io, io.devKeys)
    if (typeof loaded === 'number') return loaded
    checkRights(args, rights, loaded.settings)
    const options = { ...claimsOf(args, loaded, ttlMs, io), ...signerOf(args, loaded, io), rights }
    const token = await mint(options).catch((error) => {
      throw new CommandFailure(messageOf(error))
    })
    io.stdout(`${token}\n`)
    return 0
  })
}

function rightsOf(args: Arguments): MintOptions['rights'] {
  const rights = {
    publish: args.values('publish'),
    subscribe: args.values('subscribe'),
    publishPatterns: args.values('publish-urlpattern'),
    subscribePatterns: args.values('subscribe-urlpattern'),
  }
  if (Object.values(rights).every((topics) => topics.length === 0)) {
    throw new UsageError('say what the token grants: --publish TOPIC or --subscribe TOPIC, * for every topic')
  }
  const payload = payloadOf(args)
  return payload === null ? rights : { ...rights, payload }
}

/** Throws a UsageError for rights that the hub would not accept in a token: the command signs no such token. */
function checkRights(args: Arguments, rights: MintOptions['rights'], { hub, limits }: Settings): void {
  const location = hubLocation(hubUrl({ hub }))
  for (const option of ['publish', 'subscribe']) {
    matchersIn(args, option, 'exact', location)
    matchersIn(args, `${option}-urlpattern`, 'urlpattern', location)
  }
  try {
    finish(parseAuthorizationDetails(authorizationDetails(rights), location, limits))
  } catch (error) {
    if (error instanceof ProtocolError)
      throw new UsageError(`the hub would refuse the token: ${error.message}`)
    throw error
  }
}

/** Whether the word has the three parts of a token, as `explain` takes them. */
function isTokenLike(word: string): boolean {
  return /^[\w-]{4,}\.[\w-]{4,}\.[\w-]*$/.test(word)
}

function payloadOf(args: Arguments): JsonObject | null {
  const written = args.value('payload')
  if (written === null) return null
  const payload = parseJson(written)
  if (!isObject(payload)) throw new UsageError('--payload is not a JSON object')
  return payload
}

function ttlOf(args: Arguments): number {
  return readValue('ttl', args.value('ttl') ?? '1h', (written) => {
    const ttlMs = parseDuration(written)
    if (ttlMs < 1000) throw new WrongValue('is shorter than a second')
    return ttlMs
  })
}

type Claims = Omit<MintOptions, 'key' | 'algorithm' | 'rights'>

function claimsOf(args: Arguments, { settings }: Configuration, ttlMs: number, io: CommandIo): Claims {
  const legacy = args.has('legacy')
  const issuer = args.value('iss') ?? settings.issuers[0]?.id
  const audience = args.value('aud') ?? settings.hub.resourceIdentifier ?? undefined
  const dates = { issuedAt: io.clock(), expiresAt: io.clock() + ttlMs }
  // A token of 0.x names neither, as issuers of 0.x never did (LEG-24), unless the user asks for it.
  if (legacy) {
    return {
      ...dates,
      legacy,
      issuer: args.value('iss') ?? undefined,
      audience: args.value('aud') ?? undefined,
    }
  }
  if (issuer === undefined) throw new UsageError('--iss is needed: no issuer is configured')
  if (audience === undefined) {
    throw new UsageError('--aud is needed: neither hub.resource_identifier nor hub.public_urls is configured')
  }
  const subject = args.value('sub') ?? 'cinnabar'
  return { ...dates, issuer, audience, subject, clientId: 'cinnabar', id: randomText(16, io) }
}

interface Signer {
  readonly key: string
  readonly algorithm: string
}

function signerOf(args: Arguments, { settings }: Configuration, io: CommandIo): Signer {
  const written = args.value('key') ?? keyFrom(args.value('key-file'), io)
  const iss = args.value('iss')
  const issuer = settings.issuers.find(({ id }) => iss === null || id === iss)
  const configured = rolesOf(args).map((role) => issuer?.[role])
  const [first] = configured
  if (written !== null) return { key: written, algorithm: args.value('alg') ?? first?.algorithm ?? 'HS256' }
  if (configured.some((role) => !isSame(role, first))) {
    throw new UsageError(
      'publishing and subscribing have different keys here: mint two tokens, or give --key',
    )
  }
  if (first?.key === undefined || first.algorithm === undefined) {
    throw new UsageError('--key is needed: no key for this is configured for the issuer')
  }
  return { key: first.key, algorithm: args.value('alg') ?? first.algorithm }
}

function keyFrom(file: string | null, io: CommandIo): string | null {
  if (file === null) return null
  try {
    return io.readFile(file).replace(/\r?\n$/, '')
  } catch (error) {
    throw new CommandFailure(`--key-file cannot be read: ${reasonOf(error)}`)
  }
}

function rolesOf(args: Arguments): readonly Role[] {
  const publishes = args.has('publish') || args.has('publish-urlpattern')
  const subscribes = args.has('subscribe') || args.has('subscribe-urlpattern')
  return [...(publishes ? ['publisher' as const] : []), ...(subscribes ? ['subscriber' as const] : [])]
}

function isSame(left: KeySettings | undefined, right: KeySettings | undefined): boolean {
  return left?.key === right?.key && left?.algorithm === right?.algorithm
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
