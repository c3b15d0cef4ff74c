import { mint } from '../../auth/mint.ts'
import type { Arguments, CommandLine } from '../../command/arguments.ts'
import { type CommandIo, type ExitCode, randomText, runCommand, UsageError } from '../../command/command.ts'
import { tlsOf, tlsOptions, tokenOf, tokenOptions } from '../../command/hub-request.ts'
import { durationOf } from '../../command/numbers.ts'
import { quoted } from '../../command/printable.ts'
import { withoutPasswords } from '../../config/addresses.ts'
import { type Configuration, describeProblem, load, type Refusal } from '../../config/load.ts'
import { bad, type Finding, findingText } from './finding.ts'
import { examineHub, type Patient } from './hub.ts'
import { examineMachine } from './machine.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'doctor',
  usage: '[URL] [--origin ORIGIN]… [--token-file FILE] [--json] [--config FILE] [--SETTING VALUE]…',
  summary: `Examines this machine and the configuration: keys, clock, descriptors, memory, ports and every entry of the
history. With the URL of a hub it examines that as its clients reach it, through its proxy: TLS, the path, the token,
cookies, origins, and whether an update arrives at once. For that it publishes one private update on a topic of its
own, with the token that is given, or one made with the keys of the configuration. Run it as the user of the hub.
Ends with 1 when something is bad.`,
  options: [
    {
      name: 'origin',
      takes: 'ORIGIN',
      help: 'pages of it are to read; repeatable; default: hub.cors_origins',
    },
    ...tokenOptions,
    ...tlsOptions,
    { name: 'wait', takes: 'TIME', help: 'how long an update may take; default: 5s' },
    { name: 'json', takes: null, help: 'prints one JSON object' },
  ],
  hasSettings: true,
  positionals: { min: 0, max: 1 },
}

/** `cinnabar doctor [URL]`: 0 when nothing is bad, else 1. */
export function runDoctor(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    const [written] = args.positionals
    const url = written === undefined ? null : hubUrlOf(written)
    const { env, readFile, exists, isErrorTerminal: isTerminal, devKeys, containerBytes } = io
    const loaded = load({ argv: args.settings, env, readFile, exists, isTerminal, devKeys, containerBytes })
    // Who looks at a hub from elsewhere has no configuration of a hub.
    const isHere = url === null || !loaded.ok || loaded.settings.issuers.length > 0
    const findings = [
      ...(isHere ? await machineFindings(loaded, io) : []),
      ...(url === null ? [] : await examineHub(await patientOf(url, args, loaded, io), io)),
    ]
    const isWell = findings.every(({ state }) => state !== 'bad')
    if (args.has('json')) io.stdout(`${JSON.stringify({ ok: isWell, findings })}\n`)
    else for (const finding of findings) io.stdout(findingText(finding))
    return isWell ? 0 : 1
  })
}

async function machineFindings(loaded: Configuration | Refusal, io: CommandIo): Promise<readonly Finding[]> {
  if (loaded.ok) return await examineMachine(loaded, io)
  return loaded.problems.map((problem) => {
    const isKey = /key/.test(problem.setting) && /cannot be read/.test(problem.message)
    const cure = isKey ? 'let the user of the hub read it: chgrp and chmod 640' : 'change that setting'
    return bad(isKey ? 'keys' : 'configuration', describeProblem(problem), cure)
  })
}

function hubUrlOf(written: string): URL {
  const url = URL.parse(written)
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new UsageError(`URL is not an http or https URL: ${quoted(withoutPasswords(written))}`)
  if (url.pathname === '/') url.pathname = '/.well-known/mercure'
  return url
}

async function patientOf(
  url: URL,
  args: Arguments,
  loaded: Configuration | Refusal,
  io: CommandIo,
): Promise<Patient> {
  const hub = loaded.ok ? loaded.settings.hub : null
  const named = (hub?.corsOrigins ?? []).filter((origin) => /^https?:\/\/[^*]+$/.test(origin))
  const topic = `urn:cinnabar:doctor:${randomText(12, io)}`
  return {
    url,
    tls: tlsOf(args, io),
    tokens: await tokensOf(args, url, loaded, topic, io),
    topic,
    origins: args.has('origin') ? args.values('origin') : named,
    cookieName: hub?.cookieName ?? '__Secure-mercure_access_token',
    waitMs: durationOf(args, 'wait', 5000),
  }
}

/** The token that is given, or one for each role with the keys of this configuration, good for a minute. */
async function tokensOf(
  args: Arguments,
  url: URL,
  loaded: Configuration | Refusal,
  topic: string,
  io: CommandIo,
): Promise<Patient['tokens']> {
  const given = tokenOf(args, io)
  if (given !== '') return { publish: given, subscribe: given }
  const issuer = loaded.ok ? loaded.settings.issuers[0] : undefined
  if (!loaded.ok || issuer === undefined) return null
  const claims = {
    issuer: issuer.id,
    audience: loaded.settings.hub.resourceIdentifier ?? `${url.origin}${url.pathname}`,
    subject: 'cinnabar-doctor',
    clientId: 'cinnabar',
    issuedAt: io.clock(),
    expiresAt: io.clock() + 60_000,
  }
  const minted = async (role: 'publisher' | 'subscriber', right: 'publish' | 'subscribe') => {
    const { key, algorithm } = issuer[role] ?? {}
    if (key === undefined || algorithm === undefined) return null
    const rights = { [right]: [topic] }
    // The configuration may hold a public key alone, which signs nothing.
    return await mint({ ...claims, key, algorithm, rights, id: randomText(16, io) }).catch(() => null)
  }
  const [publish, subscribe] = [await minted('publisher', 'publish'), await minted('subscriber', 'subscribe')]
  return publish === null || subscribe === null ? null : { publish, subscribe }
}
