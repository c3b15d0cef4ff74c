import { readFileSync } from 'node:fs'
import { runCheck } from './cli/check.ts'
import { type CommandIo, configure, type ExitCode } from './cli/command.ts'
import { runConfig } from './cli/config.ts'
import { runHealth } from './cli/health.ts'
import { refuseCommand, runHelp, serveHelp } from './cli/help.ts'
import { runPublish } from './cli/publish.ts'
import { runSubscribe } from './cli/subscribe.ts'
import { runToken } from './cli/token.ts'
import { runVersion } from './cli/version.ts'
import { type Configuration, describeProblem } from './config.ts'
import { devLines } from './dev.ts'
import { Server, unsupported } from './serve.ts'
import { Log } from './telemetry.ts'

/**
 * The process: one command and its exit code. `serve` is the one that stays; everything else answers and ends.
 */

type Command = (argv: readonly string[], io: CommandIo) => Promise<ExitCode>

const commands: Readonly<Record<string, Command>> = {
  serve,
  check: runCheck,
  config: runConfig,
  token: runToken,
  publish: runPublish,
  subscribe: runSubscribe,
  health: runHealth,
  version: runVersion,
  help: runHelp,
  '--help': runHelp,
  '--version': runVersion,
}

async function serve(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  if (argv.includes('--help')) {
    io.stdout(serveHelp())
    return 0
  }
  // Unhandled, either of them would end the process before it has drained, or at all.
  const signals = new Signals()
  const configuration = configure(argv, io)
  if (typeof configuration === 'number') return configuration
  const { settings } = configuration
  const log = new Log({ ...settings.log, write: io.stderr, clock: () => new Date() })
  for (const warning of configuration.warnings) log.warn(describeProblem(warning))
  const missing = unsupported(settings)
  for (const problem of missing) io.stderr(`${problem}\n`)
  if (missing.length > 0) return 78
  return await run(configuration, log, signals, io)
}

async function run(
  { settings, isDev }: Configuration,
  log: Log,
  signals: Signals,
  io: CommandIo,
): Promise<ExitCode> {
  let server: Server
  try {
    server = await Server.open(settings, log)
  } catch (error) {
    io.stderr(`cinnabar: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
  process.on('unhandledRejection', (error) => log.error('unhandled rejection', { error: String(error) }))
  log.info('listening', { addresses: server.addresses.join(' '), transport: settings.transport })
  if (isDev) io.stdout(await devLines(settings, server.addresses[0] ?? ''))
  const signal = await signals.first
  log.info('draining', { signal, subscribers: server.subscriberCount })
  await server.close(settings.shutdown.drain)
  log.info('stopped')
  return 0
}

/** The first signal drains, the second one ends the process at once. */
class Signals {
  readonly first: Promise<string>

  constructor() {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.first = promise
    let isSecond = false
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.on(name, () => {
        if (isSecond) process.exit(1)
        isSecond = true
        resolve(name)
      })
    }
    // Terminals that close and log rotation send it: it must not end the hub.
    process.on('SIGHUP', () => {})
  }
}

function processIo(): CommandIo {
  const interruption = new AbortController()
  return {
    env: process.env,
    stdin: () => Bun.stdin.text(),
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    fetch: (url, init) => fetch(url, init),
    clock: Date.now,
    sleep: (ms, signal) => sleep(ms, signal),
    interrupted: interruption.signal,
    readFile: (path) => readFileSync(path, 'utf8'),
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    legacyTokens: () => null,
    isTerminal: process.stdout.isTTY,
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, signal.aborted ? 0 : ms)
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise.finally(() => clearTimeout(timer))
}

const [name = 'help', ...argv] = process.argv.slice(2)
const io = processIo()
const command = commands[name]
const code = command === undefined ? refuseCommand(name, io) : await command(argv, io)
// Standard output may be a pipe that is still being written to: leave by the natural end where there is one.
if (name === 'serve' || code !== 0) process.exit(code)
