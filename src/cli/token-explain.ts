import { type Authenticator, openAuthenticator } from '../auth/authenticate.ts'
import type { Role } from '../auth/keys.ts'
import type { Explanation } from '../auth/verification.ts'
import type { Arguments, CommandLine } from '../command/arguments.ts'
import {
  CommandFailure,
  type CommandIo,
  configure,
  type ExitCode,
  readInput,
  runCommand,
  UsageError,
} from '../command/command.ts'
import { messageOf } from '../command/failure.ts'
import { tokenOf } from '../command/hub-request.ts'
import { printable } from '../command/printable.ts'
import type { Settings } from '../config/load.ts'
import { hubUrl } from '../config/location.ts'
import type { Grant } from '../protocol/grant.ts'
import { hubLocation } from '../protocol/topic.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'token explain',
  usage: 'TOKEN|-|--token-file FILE [--aud URI] [--config FILE] [--SETTING VALUE]…',
  summary: `Says, claim by claim, whether this hub would accept the token, and what it grants.
Exits with 0 when it is accepted for publishing or subscribing. - reads the token from standard input.`,
  options: [
    { name: 'token-file', takes: 'FILE', help: 'the token is in this file' },
    { name: 'aud', takes: 'URI', help: 'the audience of the hub, when the configuration does not say' },
  ],
  hasSettings: true,
  positionals: { min: 0, max: 1 },
}

const AUDIENCE_NEEDED = '--aud is needed: neither hub.resource_identifier nor hub.public_urls is configured'

/** `cinnabar token explain TOKEN`. */
export function runTokenExplain(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    const token = await read(args, io)
    const loaded = configure(args.settings, io, io.devKeys)
    if (typeof loaded === 'number') return loaded
    const { settings } = loaded
    const audience = args.value('aud') ?? settings.hub.resourceIdentifier
    if (audience === null) throw new UsageError(AUDIENCE_NEEDED)
    const authenticator = await open(settings, io)
    try {
      return await explain(authenticator, token, audience, io)
    } finally {
      authenticator.close()
    }
  })
}

/** The token, from the one place that is given. */
async function read(args: Arguments, io: CommandIo): Promise<string> {
  const [written] = args.positionals
  const isInFile = args.has('token-file')
  if (written === undefined && !isInFile)
    throw new UsageError('an argument is missing: TOKEN|-, or --token-file FILE')
  if (written !== undefined && isInFile) throw new UsageError('TOKEN and --token-file are both given')
  if (written === undefined) return tokenOf(args, io)
  return (written === '-' ? await readInput(io) : written).trim()
}

async function open(settings: Settings, io: CommandIo): Promise<Authenticator> {
  const { issuers, limits } = settings
  const legacy = await io.legacyTokens(settings)
  return await openAuthenticator({
    issuers,
    hub: hubLocation(hubUrl(settings)),
    limits,
    clock: io.clock,
    cacheEntries: 0,
    cacheBytes: 0,
    legacy,
    fetch: (url, init) => io.fetch(url, init),
  }).catch((error) => {
    throw new CommandFailure(messageOf(error))
  })
}

const roles: readonly (readonly [role: Role, purpose: string])[] = [
  ['publisher', 'To publish'],
  ['subscriber', 'To subscribe'],
]

/** A role has keys of its own, so the same token may be good for one only (AUT-27). */
async function explain(of: Authenticator, token: string, audience: string, io: CommandIo): Promise<ExitCode> {
  let code: ExitCode = 1
  for (const [role, purpose] of roles) {
    if (!of.hasKeys(role)) {
      io.stdout(`${purpose}: disabled, because no issuer has a key for it\n`)
      continue
    }
    const explanation = await of.explain(token, role, audience)
    if (explanation.accepted) code = 0
    const verdict = explanation.accepted ? 'accepted' : 'refused'
    io.stdout(printable(`${purpose}: ${verdict}\n${describe(explanation, role)}`))
  }
  return code
}

function describe({ accepted, findings, grants }: Explanation, role: Role): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  const lines = findings.map(
    ({ check, ok, detail }) => `  ${ok ? 'ok ' : 'NO '} ${check.padEnd(width)}  ${detail}`,
  )
  const granted = grants.filter((grant) => (role === 'publisher' ? grant.publish : grant.subscribe))
  const verb = accepted ? 'grants' : 'would grant'
  if (granted.length === 0)
    lines.push(`  ${verb} nothing${role === 'subscriber' ? ' but public updates' : ''}`)
  return `${[...lines, ...granted.flatMap((grant) => describeGrant(grant, verb))].join('\n')}\n`
}

function describeGrant({ topics, payload }: Grant, verb: string): readonly string[] {
  const shown = payload === null ? '' : `, with the payload ${JSON.stringify(payload)}`
  return topics.map(
    ({ type, pattern }) => `  ${verb} ${pattern === '*' ? 'every topic' : `${type} ${pattern}`}${shown}`,
  )
}
