import type { CommandLine } from '../command/arguments.ts'
import {
  CommandFailure,
  type CommandIo,
  configure,
  type ExitCode,
  runCommand,
  UsageError,
} from '../command/command.ts'
import { reasonOf } from '../command/failure.ts'
import { tlsOf, tlsOptions } from '../command/hub-request.ts'
import { quoted } from '../command/printable.ts'
import type { ListenAddress } from '../config/addresses.ts'
import { formatAddress, withoutPasswords } from '../config/addresses.ts'
import type { Settings } from '../config/load.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'health',
  usage: '[--url URL] [--ca-file FILE] [--config FILE] [--SETTING VALUE]…',
  summary: 'Asks a running hub for /readyz. Exits with 0 when it can accept a publication, else with 1.',
  options: [
    { name: 'url', takes: 'URL', help: 'what to ask; default: /readyz where this configuration listens' },
    ...tlsOptions,
  ],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

const TIMEOUT_MS = 5000

/** `cinnabar health`, for container health checks. */
export function runHealth(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    const url = args.value('url')
    if (url !== null) return ask(readyUrl(url), tlsOf(args, io), io)
    const loaded = configure(args.settings, io)
    if (typeof loaded === 'number') return loaded
    const { url: own, init } = ownEndpoint(loaded.settings)
    return ask(own, { ...init, ...tlsOf(args, io) }, io)
  })
}

async function ask(url: string, init: BunFetchRequestInit, io: CommandIo): Promise<ExitCode> {
  const signal = AbortSignal.any([io.interrupted, AbortSignal.timeout(TIMEOUT_MS)])
  const response = await io.fetch(url, { ...init, redirect: 'manual', signal }).catch((error) => {
    throw new CommandFailure(`${url} does not answer: ${reasonOf(error)}`)
  })
  if (response.status !== 200) throw new CommandFailure(`${url} answers ${response.status}`)
  io.stdout('ready\n')
  return 0
}

/** An origin alone means its /readyz. */
function readyUrl(written: string): string {
  const url = URL.parse(written)
  if (url === null) throw new UsageError(`--url is not an absolute URL: ${quoted(withoutPasswords(written))}`)
  return url.pathname === '/' && !written.endsWith('/') ? `${url.origin}/readyz` : url.href
}

function ownEndpoint({ admin, listen, tls }: Settings): { url: string; init: BunFetchRequestInit } {
  const address = admin.listen ?? listen[0]
  if (address === undefined) throw new CommandFailure('nothing is listening in this configuration')
  return endpointAt(address, admin.listen === null && tls.certFile !== null)
}

/** The request for `/readyz` that reaches a listener of this machine. */
export function endpointAt(
  address: ListenAddress,
  isTls: boolean,
): { url: string; init: BunFetchRequestInit } {
  // The certificate names the public host, and no secret goes over this connection to the same machine.
  const init: BunFetchRequestInit = isTls ? { tls: { rejectUnauthorized: false } } : {}
  const scheme = isTls ? 'https' : 'http'
  if (address.kind === 'unix')
    return { url: `${scheme}://localhost/readyz`, init: { ...init, unix: address.path } }
  return { url: `${scheme}://${formatAddress(reachable(address))}/readyz`, init }
}

/** All interfaces are no destination: loopback is among them. */
function reachable(address: ListenAddress & { kind: 'tcp' }): ListenAddress {
  const loopback = address.host === '::' ? '::1' : '127.0.0.1'
  const host = address.host === '0.0.0.0' || address.host === '::' ? loopback : address.host
  return { ...address, host }
}
