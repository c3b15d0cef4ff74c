import { readFileSync } from 'node:fs'
import { type Command, findCommand } from './cli/commands.ts'
import { type CommandIo, type ExitCode, messageOf, randomText } from './command/command.ts'
import { audienceProblems } from './config/audience.ts'
import { missingFeatures, refusedFeatures } from './config/later.ts'
import {
  type Configuration,
  describeProblem,
  exitCode,
  hasEmptyFile,
  load,
  type Refusal,
} from './config/load.ts'
import type { Server } from './serve/server.ts'
import { Log } from './telemetry/log.ts'

/**
 * The process: one command and its exit code. `serve` is the one that stays; everything else answers and ends.
 */

async function serve(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  if (argv.includes('--help')) {
    const { serveHelp } = await import('./cli/help.ts')
    io.stdout(serveHelp())
    return 0
  }
  // Unhandled, either of them would end the process before it has drained, or at all.
  const signals = new Signals()
  const read = reader(argv, io)
  const configuration = read()
  const problems = problemsOf(configuration)
  for (const problem of problems) io.stderr(`${problem}\n`)
  if (!configuration.ok) return exitCode(configuration.problems)
  if (problems.length > 0) return 78
  if (isActivated(io)) {
    io.stderr('LISTEN_FDS: socket activation is not supported; listen on unix:/path instead\n')
    return 78
  }
  const { settings } = configuration
  const log = new Log({ ...settings.log, write: io.stderr, clock: () => new Date() })
  // What `--dev` stands for is not what somebody asked for.
  const missing = configuration.isDev ? [] : missingFeatures(settings)
  for (const warning of [...configuration.warnings, ...missing]) log.warn(describeProblem(warning))
  return await run(configuration, read, log, signals, io)
}

async function run(
  { settings, isDev }: Configuration,
  read: () => Configuration | Refusal,
  log: Log,
  signals: Signals,
  io: CommandIo,
): Promise<ExitCode> {
  let server: Server
  try {
    const { Server } = await import('./serve/server.ts')
    // A developer may see it; in production it would tell an attacker what to try.
    const shown = isDev ? (await import('./cli/version.ts')).version.version : null
    server = await Server.open(settings, log, startWriter, shown)
  } catch (error) {
    io.stderr(`cinnabar: ${messageOf(error)}\n`)
    return 1
  }
  compileAsUsual()
  process.on('unhandledRejection', (error) => log.error('unhandled rejection', { error: String(error) }))
  signals.onHangup(() => reload(server, read(), log))
  log.info('listening', {
    addresses: server.addresses.join(' '),
    admin: server.adminAddress,
    transport: settings.transport,
  })
  if (isDev) {
    const { devLines } = await import('./serve/dev.ts')
    io.stdout(await devLines(settings, server.addresses[0] ?? ''))
  }
  const signal = await signals.first
  log.info('draining', { signal, subscribers: server.subscriberCount })
  await server.close()
  log.info('stopped')
  return 0
}

// The compiler follows this spelling, relative to this file: the worker is a file of the executable.
function startWriter(): Worker {
  return new Worker(new URL('./transport/sqlite/writer.ts', import.meta.url).href)
}

/** The policy of `scripts/build.sh` is for a hub until it listens, and for nobody else. */
function compileAsUsual(): void {
  Bun.unsafe.setJITPolicy(1)
}

/** Reads all places anew at each call. The keys of `--dev` are made once: they are for the whole run. */
function reader(argv: readonly string[], io: CommandIo): () => Configuration | Refusal {
  const devKeys = { publisher: randomText(32, io), subscriber: randomText(32, io) }
  return () => load({ argv, env: io.env, readFile: io.readFile, isTerminal: io.isTerminal, devKeys })
}

function problemsOf(configuration: Configuration | Refusal): readonly string[] {
  if (!configuration.ok) return configuration.problems.map(describeProblem)
  const { settings, isDev } = configuration
  return [...refusedFeatures(settings), ...audienceProblems(settings, isDev)].map(describeProblem)
}

/** What is wrong is logged, all of it, and leaves everything as it was. Never rejects. */
async function reload(server: Server, configuration: Configuration | Refusal, log: Log): Promise<void> {
  const refuse = (problem: string) => log.error('configuration refused', { problem })
  const problems = problemsOf(configuration)
  for (const problem of problems) refuse(problem)
  if (!configuration.ok || problems.length > 0) return
  for (const warning of configuration.warnings) log.warn(describeProblem(warning))
  try {
    for (const setting of await server.reload(configuration.settings, hasEmptyFile(configuration))) {
      log.warn('the change needs a restart', { setting })
    }
    log.info('configuration reloaded')
  } catch (error) {
    for (const problem of messageOf(error).split('\n')) refuse(problem)
  }
}

/** Sockets handed over by the service manager. Bun 1.4.5 would ignore them and listen elsewhere. */
function isActivated({ env }: CommandIo): boolean {
  return Number(env['LISTEN_FDS'] ?? 0) > 0 && Number(env['LISTEN_PID'] ?? process.pid) === process.pid
}

/** The first of SIGTERM and SIGINT drains, the second ends the process at once; SIGHUP reloads; others do nothing. */
class Signals {
  readonly first: Promise<string>
  // Reloads come one after the other. One before the hub listens is dropped: it has just read everything.
  #reloading = Promise.resolve()
  #reload: () => Promise<void> = () => Promise.resolve()

  constructor() {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.first = promise
    let isSecond = false
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.on(name, () => {
        if (isSecond) process.exit(1)
        isSecond = true
        this.#reload = () => Promise.resolve()
        resolve(name)
      })
    }
    // Habits of log rotation and of other servers. Unhandled, each would end the process.
    for (const name of ['SIGUSR1', 'SIGUSR2', 'SIGQUIT', 'SIGALRM'] as const) process.on(name, () => {})
    // Unhandled it would end the process: terminals that close send it too.
    process.on('SIGHUP', () => {
      this.#reloading = this.#reloading.then(() => this.#reload())
    })
  }

  /** What SIGHUP does. It must not reject. */
  onHangup(run: () => Promise<void>): void {
    this.#reload = run
  }
}

async function refuse(name: string, io: CommandIo): Promise<ExitCode> {
  const { refuseCommand } = await import('./cli/help.ts')
  return refuseCommand(name, io)
}

/** Aborted by the first SIGINT where a command ends by itself; the second one just ends the process. */
function interruptionOf(command: Command | null): AbortSignal {
  const interruption = new AbortController()
  if (command?.isInterruptible === true) process.once('SIGINT', () => interruption.abort())
  return interruption.signal
}

function processIo(command: Command | null): CommandIo {
  return {
    env: process.env,
    stdin: () => Bun.stdin.text(),
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    fetch: (url, init) => fetch(url, init),
    clock: Date.now,
    sleep: (ms, signal) => sleep(ms, signal),
    interrupted: interruptionOf(command),
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

// A reader such as `head` may leave early; then there is nothing more to say to it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

const [name = 'help', ...argv] = process.argv.slice(2)
const command = findCommand(name)
const io = processIo(command)
if (name !== 'serve') compileAsUsual()
const code = command === null ? await refuse(name, io) : await (await command.load(serve))(argv, io)
// Standard output may be a pipe that is still being written to: leave by the natural end where there is one.
process.exitCode = code
if (name === 'serve') process.exit(code)
