import { CommandFailure } from '../../command/command.ts'

/** Where a hub listens: origins, or `unix:` paths. */
export interface Addresses {
  /** The first of the hub listeners. */
  readonly hub: string
  /** All of them, in the order of the settings. */
  readonly hubs: readonly string[]
  /** Null without an admin listener, or when the hub is older than the field of its log that names it. */
  readonly admin: string | null
}

export interface HubStart {
  /** The program and all of its arguments, which must make it log JSON at the level info. */
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** The working folder, by default that of this process. */
  readonly directory?: string
  /** Gives the hub a process group of its own: an interruption at the terminal does not reach it. */
  readonly isDetached?: boolean
  /** Told all that the hub logs, cut anywhere. */
  onOutput?(text: string): void
}

/**
 * A hub as a process that was started here. It is spawned, tells in its log where it listens, and is told to end. It
 * may also end by itself, and then its last log line says why.
 */
export class HubProcess {
  readonly #child: Bun.Subprocess<'ignore', 'ignore', 'pipe'>
  readonly #listening = Promise.withResolvers<Addresses>()
  readonly #reading: Promise<void>
  #lastLine = ''

  constructor({ command, env, directory, isDetached = false, onOutput = () => {} }: HubStart) {
    this.#child = Bun.spawn([...command], {
      env,
      ...(directory !== undefined && { cwd: directory }),
      detached: isDetached,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    // Nobody may be waiting any more when it ends.
    this.#listening.promise.catch(() => {})
    this.#reading = this.#read(onOutput)
  }

  get pid(): number {
    return this.#child.pid
  }

  /** Where the hub listens. Rejects with a `CommandFailure` when it ends instead, or takes longer than `patienceMs`. */
  async addresses(patienceMs = PATIENCE_MS): Promise<Addresses> {
    const late = new CommandFailure(`it does not listen after ${patienceMs / 1000} s`)
    const timer = setTimeout(() => this.#listening.reject(late), patienceMs)
    return await this.#listening.promise.finally(() => clearTimeout(timer))
  }

  /** Resolves with how the hub ended, for a caller that looks for the cause. */
  async ending(): Promise<string> {
    await this.#child.exited
    await this.#reading
    const { exitCode, signalCode } = this.#child
    return `ended by ${signalCode ?? exitCode}${this.#lastLine === '' ? '' : `: ${this.#lastLine}`}`
  }

  /** Tells it to end now, and does not wait. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal)
  }

  /** Sends the signal and resolves with the exit code when it is gone and all that it logged was read. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<number> {
    this.kill(signal)
    await this.ending()
    return await this.#child.exited
  }

  async #read(onOutput: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder()
    let partial = ''
    for await (const chunk of this.#child.stderr) {
      const text = decoder.decode(chunk, { stream: true })
      onOutput(text)
      const lines = (partial + text).split('\n')
      partial = (lines.pop() ?? '').slice(0, LINE_MAX)
      for (const line of lines) this.#take(line)
    }
    this.#take(partial)
    this.#listening.reject(new CommandFailure(await this.#startFailure()))
  }

  #take(line: string): void {
    if (line !== '') this.#lastLine = messageIn(line).slice(0, SHOWN_MAX)
    const addresses = parseListening(line)
    if (addresses !== null) this.#listening.resolve(addresses)
  }

  async #startFailure(): Promise<string> {
    return `it did not start, ended by ${await this.#child.exited}: ${this.#lastLine}`
  }
}

/** Where a hub listens, from the line of its log that says so; null for every other line. */
export function parseListening(line: string): Addresses | null {
  if (!line.includes('"message":"listening"')) return null
  const { addresses, admin } = fieldsOf(line)
  if (typeof addresses !== 'string') return null
  const hubs = addresses.split(' ')
  return { hub: hubs[0] ?? '', hubs, admin: typeof admin === 'string' ? admin : null }
}

/** The message of an error in the log; any other line as it is. */
function messageIn(line: string): string {
  const { level, message } = fieldsOf(line)
  return level === 'error' && typeof message === 'string' ? message : line
}

function fieldsOf(line: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(line)
  } catch {
    // A program may write other lines than JSON.
    return {}
  }
}

/** A hub on a slow disk takes its time to open a history. */
const PATIENCE_MS = 30_000
/** Characters of a line that are kept while it is not whole, and of the last one. */
const LINE_MAX = 64 * 1024
const SHOWN_MAX = 400
