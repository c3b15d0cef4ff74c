import { CommandFailure } from '../../command/command.ts'
import type { HubConfiguration } from './configurations.ts'
import type { HistoryFolder } from './folder.ts'

/**
 * A hub that a run starts for itself. It is spawned, tells in its log where it listens, is measured, and is
 * killed: nobody needs its history. It may also end by itself, and then its last log line is why.
 */
export class BenchHub {
  readonly #child: Bun.Subprocess<'ignore', 'ignore', 'pipe'>
  readonly #listening = Promise.withResolvers<Addresses>()
  readonly #reading: Promise<void>
  #lastLine = ''

  /** `command`: the program and all of its arguments. */
  constructor(command: readonly string[], env: Readonly<Record<string, string | undefined>>) {
    // An interruption at the terminal would go to it as well, and what it does then is no part of the run.
    this.#child = Bun.spawn([...command], { env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
    // Nobody may be waiting any more when it ends.
    this.#listening.promise.catch(() => {})
    this.#reading = this.#read()
  }

  get pid(): string {
    return String(this.#child.pid)
  }

  /** Where it listens. Rejects with a `CommandFailure` when it ends instead, or takes too long. */
  async addresses(): Promise<Addresses> {
    const late = new CommandFailure(`it does not listen after ${START_MS / 1000} s`)
    const timer = setTimeout(() => this.#listening.reject(late), START_MS)
    return await this.#listening.promise.finally(() => clearTimeout(timer))
  }

  /** Resolves with how it ended, for whoever looks for the cause. */
  async ending(): Promise<string> {
    await this.#child.exited
    await this.#reading
    const { exitCode, signalCode } = this.#child
    return `ended by ${signalCode ?? exitCode}${this.#lastLine === '' ? '' : `: ${this.#lastLine}`}`
  }

  /** Tells it to end now, and does not wait. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** Resolves when it is gone. */
  async close(): Promise<void> {
    this.kill()
    await this.ending()
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder()
    let partial = ''
    for await (const chunk of this.#child.stderr) {
      const lines = (partial + decoder.decode(chunk, { stream: true })).split('\n')
      partial = (lines.pop() ?? '').slice(0, LINE_MAX)
      for (const line of lines) this.#take(line)
    }
    this.#take(partial)
    this.#listening.reject(new CommandFailure(await this.#startFailure()))
  }

  #take(line: string): void {
    if (line !== '') this.#lastLine = messageIn(line).slice(0, LINE_MAX)
    const [, hub, admin] =
      /"message":"listening","addresses":"([^" ]+)[^"]*","admin":"([^"]+)"/.exec(line) ?? []
    if (hub !== undefined && admin !== undefined) this.#listening.resolve({ hub, admin })
  }

  async #startFailure(): Promise<string> {
    return `it did not start, ended by ${await this.#child.exited}: ${this.#lastLine}`
  }
}

/** The message of an error in the log; any other line as it is. */
function messageIn(line: string): string {
  const quoted = /"level":"error","message":("(?:[^"\\]|\\.)*")/.exec(line)?.[1]
  return quoted === undefined ? line : String(JSON.parse(quoted))
}

/** Origins of a hub. */
export interface Addresses {
  readonly hub: string
  readonly admin: string
}

/** The key that all hubs of a run share, and what its tokens say. */
export interface RunIssuer {
  readonly id: string
  readonly audience: string
  /** The file with the key: on a command line everybody could read it. */
  readonly keyFile: string
}

/** The arguments of `serve`: what was configured, and after it what the run decides. */
export function serveFlags(configuration: HubConfiguration, folder: HistoryFolder, issuer: RunIssuer) {
  const { id, audience, keyFile } = issuer
  const role = { key_file: keyFile, algorithm: 'HS256' }
  return [
    // The file in this folder is yours, and nobody else's.
    ...(configuration.readsEnvironment ? [] : ['--config', '']),
    ...configuration.flags,
    ...['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--hub-path', HUB_PATH],
    ...['--issuers', JSON.stringify([{ id, publisher: role, subscriber: role }])],
    ...['--hub-resource-identifier', audience, '--hub-public-urls', '', '--tls-cert-file', ''],
    ...['--tls-key-file', '', '--no-http3', '--sqlite-path', folder.pathOf(`${configuration.name}.db`)],
    ...['--log-format', 'json', '--log-level', 'info'],
  ]
}

export const HUB_PATH = '/.well-known/mercure'

/** A hub on a slow disk has its history to open. */
const START_MS = 30_000
const LINE_MAX = 400
