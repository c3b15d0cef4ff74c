import { existsSync, readFileSync } from 'node:fs'
import { type Command, commands, findCommand } from './cli/commands.ts'
import { type CommandIo, type ExitCode, type Run, randomText } from './command/command.ts'
import { codeOf, messageOf, reasonOf, unexpectedText } from './command/failure.ts'
import { audienceProblems } from './config/audience.ts'
import type { DevKeys, KnownHub } from './config/dev.ts'
import {
  type Configuration,
  describeProblem,
  exitCode,
  hasEmptyFile,
  load,
  type Refusal,
  type Settings,
} from './config/load.ts'
import type { ConsoleMaterial } from './serve/console/console.ts'
import { DevFile } from './serve/dev-file.ts'
import { endNow } from './serve/end.ts'
import type { LoadGeneration } from './serve/generations/generation.ts'
import type { ServiceManager } from './serve/manager/service-manager.ts'
import type { Server } from './serve/server.ts'
import { containerMemory } from './serve/system/cgroup.ts'
import type { Tracing } from './serve/tracing.ts'
import { Log } from './telemetry/log.ts'

/**
 * The process: one command and its exit code. `serve` is the one that stays; everything else answers and ends.
 */

async function serve(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  if (argv.includes('--help') || argv.includes('-h')) {
    const { serveHelp } = await import('./cli/help.ts')
    io.stdout(serveHelp())
    return 0
  }
  // Without handlers a signal would end the process: SIGTERM and SIGINT before it has drained, SIGHUP at all.
  const signals = new Signals()
  const dev = new DevRun()
  const read = reader(argv, io, dev)
  const configuration = read()
  const problems = problemsOf(configuration)
  if (!configuration.ok) {
    refuse(problems, configuration.logFormat, io)
    return exitCode(configuration.problems)
  }
  const { settings } = configuration
  if (isActivated(io))
    problems.push('LISTEN_FDS: socket activation is not supported; listen on unix:/path instead')
  if (problems.length > 0) {
    refuse(problems, settings.log.format, io)
    return 78
  }
  const log = new Log({ ...settings.log, write: io.stderr, clock: () => new Date() })
  for (const note of configuration.notes) log.info(describeProblem(note))
  if (configuration.file !== null) log.info('configuration read', { file: absolute(configuration.file) })
  for (const warning of configuration.warnings) log.warn(describeProblem(warning))
  if (dev.problem !== null) log.warn(`--dev: the keys are for this run: ${dev.problem}`)
  return await serveUntilSignal(configuration, read, log, signals, io, dev)
}

async function serveUntilSignal(
  configuration: Configuration,
  read: () => Configuration | Refusal,
  log: Log,
  signals: Signals,
  io: CommandIo,
  dev: DevRun,
): Promise<ExitCode> {
  const { settings, isDev, origins } = configuration
  void signals.first.then(endUnlessServing)
  const manager = await openManager(log)
  let server: Server
  let tracing: Tracing | null = null
  try {
    const { Server } = await import('./serve/server.ts')
    const build = { ...(await import('./cli/version.ts')).version }
    tracing = await openTracing(settings, log, io)
    const console = await consoleOf(configuration)
    server = await Server.open(settings, log, startWriter, { build, isDev, earlier, tracing, console })
  } catch (error) {
    const reason = codeOf(error) === null ? messageOf(error) : `the hub cannot start: ${reasonOf(error)}`
    refuse(reason.split('\n'), settings.log.format, io)
    return error instanceof Error && error.name === 'WrongConfiguration' ? 78 : 1
  }
  compileAsUsual()
  isServing = true
  report = (what, error) => log.error(what, { error: String(error) })
  signals.onHangup(async () => {
    manager?.reloading()
    await reload(server, read(), log)
    manager?.reloaded()
  })
  log.info('listening', {
    addresses: server.addresses.join(' '),
    admin: server.adminAddress,
    transport: settings.transport,
  })
  if (isDev) {
    const { devHub, devLines } = await import('./serve/dev.ts')
    const address = server.addresses[0] ?? ''
    const isOwn = origins.get('issuers[0].id')?.kind === 'dev'
    const isKept = isOwn && dev.record(devHub(settings, address))
    const from = isKept ? 'kept' : isOwn ? 'of this run' : 'configured'
    io.stdout(await devLines(settings, address, from, server.adminAddress))
  }
  manager?.watch(server)
  const signal = await signals.first
  manager?.stopping(server.subscriberCount)
  log.info('draining', { signal, subscribers: server.subscriberCount })
  await server.close()
  await tracing?.close()
  log.info('stopped')
  return server.isLeftOpen ? endNow(1) : 0
}

/** The material of the console, which is loaded for nobody who has none. */
async function consoleOf(configuration: Configuration): Promise<ConsoleMaterial | null> {
  if (!configuration.settings.admin.console) return null
  const { version } = await import('./cli/version.ts')
  return {
    version: version.version,
    commit: version.commit,
    configuration,
    page: async () => ({
      html: (await import('../dist/console/page.txt')).default,
      policy: (await import('../dist/console/policy.txt')).default,
    }),
    prune: async (path, { keepCount: maxCount, keepAge, matches, isDryRun }) => {
      const { pruneHistory } = await import('./history/prune.ts')
      const keep = { maxCount, maxAgeMs: keepAge === null ? null : keepAge * 1000, maxBytes: null }
      const pause = () => sleep(PRUNE_PAUSE_MS, new AbortController().signal)
      return await pruneHistory(path, { keep, matches, now: Date.now(), isDryRun, pause })
    },
  }
}

/** Milliseconds between two transactions of a prune: the hub commits meanwhile. */
const PRUNE_PAUSE_MS = 5

/** Opens the traces that the settings ask for. The library is loaded for nobody else. */
async function openTracing(settings: Settings, log: Log, { env }: CommandIo): Promise<Tracing | null> {
  const endpoint = settings.telemetry.otlpEndpoint
  if (endpoint === null) return null
  const { version } = await import('./cli/version.ts')
  return (await import('./serve/tracing.ts')).openTracing(endpoint, settings, log, env, version.version)
}

/**
 * The service manager that has started the hub; null, with nothing loaded, when none asks to be told. Takes its names
 * out of the environment, which is not for programs that the hub may start.
 */
async function openManager(log: Log): Promise<ServiceManager | null> {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = process.env
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete process.env[name]
  if (NOTIFY_SOCKET === undefined || NOTIFY_SOCKET === '') return null
  const { openServiceManager } = await import('./serve/manager/service-manager.ts')
  return openServiceManager({ NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID }, process.pid, log)
}

/** Ends a start that waits for a disk, perhaps for ever, and does not look at signals. */
function endUnlessServing(): void {
  setTimeout(() => {
    if (!isServing) endNow(1)
  }, START_MS).unref()
}

/** The longest time that a hub which is told to stop may still take to start, in milliseconds. */
const START_MS = 3000

/** The generations before 1.0. Without them the hub is whole; the settings say whether one is loaded. */
const earlier: readonly LoadGeneration[] = [
  async (...of) => (await import('./legacy/generation.ts')).legacyGeneration(...of),
]

// The compiler follows this spelling, relative to this file: the worker is a file of the executable.
function startWriter(): Worker {
  return new Worker(new URL('./transport/sqlite/writer.ts', import.meta.url).href)
}

/** The policy of `scripts/build.sh` is for a hub until it listens, and for nobody else. */
function compileAsUsual(): void {
  Bun.unsafe.setJITPolicy(1)
}

/**
 * Reads all places anew at each call. It takes the keys of `--dev` once: they are for the whole run. It names a file
 * that it has found from then on: a file that is away when the hub reads again is a mistake, not an absent setting.
 */
function reader(argv: readonly string[], io: CommandIo, dev: DevRun): () => Configuration | Refusal {
  const devKeys = () => dev.keys()
  const { readFile, exists, isErrorTerminal: isTerminal, containerBytes } = io
  let found: string | null = null
  return () => {
    const env = found === null ? io.env : { ...io.env, CINNABAR_CONFIG: found }
    const loaded = load({ argv, env, readFile, exists, isTerminal, devKeys, containerBytes })
    if (loaded.ok) found = loaded.file
    return loaded
  }
}

/** The keys of `--dev` while a hub runs: those of its folder, or new ones where it can keep none. */
class DevRun {
  /** Why the folder keeps none, or null. */
  problem: string | null = null
  #keys: DevKeys | null = null

  keys(): DevKeys {
    if (this.#keys !== null) return this.#keys
    const { keys, problem } = devFile.openForRun()
    this.problem = problem
    this.#keys = keys
    return keys
  }

  /** Writes down where the hub is for other commands. Answers whether the folder keeps the keys. */
  record(hub: KnownHub): boolean {
    return this.problem === null && devFile.record(hub)
  }
}

/** The file of `--dev` in the working folder, beside the history. */
const devFile = new DevFile('.cinnabar-dev.json', () => randomText(32, io))

/** The absolute path, for the log, which people read elsewhere. */
function absolute(path: string): string {
  return path.startsWith('/') ? path : `${process.cwd()}/${path}`
}

function problemsOf(configuration: Configuration | Refusal): string[] {
  if (!configuration.ok) return configuration.problems.map(describeProblem)
  const { settings, isDev } = configuration
  return audienceProblems(settings, isDev).map(describeProblem)
}

/** Tells what keeps the hub from starting: in its log where that is JSON, else to the person at the terminal. */
function refuse(problems: readonly string[], format: 'json' | 'pretty', { stderr }: CommandIo): void {
  const log = new Log({ format, level: 'error', write: stderr, clock: () => new Date() })
  for (const problem of problems) {
    if (format === 'json') log.error(problem)
    else stderr(`${problem}\n`)
  }
}

/** Reloads the server. Logs all mistakes of a wrong configuration, which leaves everything as it was. Never rejects. */
async function reload(server: Server, configuration: Configuration | Refusal, log: Log): Promise<void> {
  const refuse = (problem: string) => log.error('configuration refused', { problem })
  const problems = problemsOf(configuration)
  for (const problem of problems) refuse(problem)
  if (!configuration.ok || problems.length > 0) return
  for (const warning of configuration.warnings) log.warn(describeProblem(warning))
  try {
    for (const setting of await server.reload(
      configuration.settings,
      hasEmptyFile(configuration),
      configuration,
    )) {
      log.warn('the change needs a restart', { setting })
    }
    log.info('configuration reloaded')
  } catch (error) {
    for (const problem of messageOf(error).split('\n')) refuse(problem)
  }
}

/** Whether the service manager hands over sockets. Bun 1.4.5 would ignore them and listen elsewhere. */
function isActivated({ env }: CommandIo): boolean {
  return Number(env['LISTEN_FDS'] ?? 0) > 0 && Number(env['LISTEN_PID'] ?? process.pid) === process.pid
}

/** The first of SIGTERM and SIGINT drains, the second ends the process at once; SIGHUP reloads; others do nothing. */
class Signals {
  readonly first: Promise<string>
  // Reloads run one after the other. A reload before the hub listens is dropped: the hub has just read everything.
  #reloading = Promise.resolve()
  #reload: () => Promise<void> = () => Promise.resolve()

  constructor() {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.first = promise
    let isSecond = false
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.on(name, () => {
        if (isSecond) endNow(1)
        isSecond = true
        this.#reload = () => Promise.resolve()
        resolve(name)
      })
    }
    // Log rotation and habits of other servers send these. Without a handler, each would end the process.
    for (const name of ['SIGUSR1', 'SIGUSR2', 'SIGQUIT', 'SIGALRM'] as const) process.on(name, () => {})
    // Without a handler it would end the process: a terminal that closes sends it too.
    process.on('SIGHUP', () => {
      this.#reloading = this.#reloading.then(() => this.#reload())
    })
  }

  /** Sets the action of SIGHUP, which must not reject. */
  onHangup(run: () => Promise<void>): void {
    this.#reload = run
  }
}

async function refuseCommand(name: string, io: CommandIo): Promise<ExitCode> {
  const help = await import('./cli/help.ts')
  return help.refuseCommand(name, commands, io)
}

async function run(command: Run): Promise<ExitCode> {
  try {
    return await command(argv, io)
  } catch (error) {
    report('uncaught exception', error)
    return 1
  }
}

/** Aborted by the first SIGINT where a command ends by itself; the second one just ends the process. */
function interruptionOf(command: Command | null): AbortSignal {
  const interruption = new AbortController()
  if (command?.isInterruptible === true) process.once('SIGINT', () => interruption.abort())
  return interruption.signal
}

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}

function processIo(command: Command | null): CommandIo {
  return {
    env: process.env,
    stdin: async () => decoder.decode(await Bun.stdin.bytes()),
    isInputTerminal: () => process.stdin.isTTY === true,
    ask: (question) => prompt(question),
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    fetch: (url, init) => fetch(url, init),
    clock: Date.now,
    sleep: (ms, signal) => sleep(ms, signal),
    interrupted: interruptionOf(command),
    readFile: readText,
    exists: existsSync,
    devKeys: () => devFile.read(),
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    legacyTokens,
    isTerminal: process.stdout.isTTY,
    isErrorTerminal: process.stderr.isTTY,
    containerBytes: containerMemory(readText),
  }
}

/** The rules for tokens of the generations before 1.0 that the settings ask for. */
const legacyTokens: CommandIo['legacyTokens'] = async (settings) => {
  if (settings.hub.legacy === 'off') return []
  const { tokenProfiles } = await import('./serve/generations/generation.ts')
  return await tokenProfiles(settings, earlier)
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, signal.aborted ? 0 : ms)
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise.finally(() => clearTimeout(timer))
}

// Data with a byte order mark is published with it.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reports an error that nobody foresaw in one line. A running hub reports it in its log. */
let report = (_what: string, error: unknown): void =>
  io.stderr(`cinnabar ${name}: ${unexpectedText(error)}\n`)

/** A hub goes on when nobody takes what it prints, or waits for a promise; any other command ends. */
let isServing = false

process.on('uncaughtException', (error) => {
  report('uncaught exception', error)
  process.exit(1)
})
process.on('unhandledRejection', (error) => {
  report('unhandled rejection', error)
  if (!isServing) process.exit(1)
})
process.stderr.on('error', () => {})
process.stdout.on('error', (error) => {
  if (isServing) return
  // A reader such as `head` may leave early; then the command has nothing more to say to it.
  if (codeOf(error) === 'EPIPE') process.exit(0)
  io.stderr(`cinnabar ${name}: the standard output cannot be written: ${reasonOf(error)}\n`)
  process.exit(1)
})

const [name = 'help', ...argv] = process.argv.slice(2)
const command = findCommand(name)
const io = processIo(command)
if (name !== 'serve') compileAsUsual()
const code = command === null ? await refuseCommand(name, io) : await run(await command.load(serve))
// The process may still write to a pipe: it leaves by the natural end where there is one.
process.exitCode = code
if (name === 'serve') process.exit(code)
