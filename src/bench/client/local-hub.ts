import { existsSync, promises } from 'node:fs'
import { messageOf } from '../../command/failure.ts'
import { HubProcess } from './hub-process.ts'

/** A hub that was started here, with a folder for its history. */
export interface LocalHub {
  /** The hub URL. */
  readonly url: string
  readonly origin: string
  /** Of all hub listeners, in the order of the settings. */
  readonly origins: readonly string[]
  /** Empty without an admin listener. */
  readonly adminUrl: string
  readonly pid: number
  /** Where its history is. The folder outlives the process unless `dispose` is called. */
  readonly directory: string
  /** The hub's log so far. */
  readonly log: () => string
  /** Sends the signal, by default SIGTERM, and resolves with the exit code when the process has ended. */
  stop(signal?: NodeJS.Signals): Promise<number>
  /** Stops the hub when it still runs and removes its folder. */
  dispose(): Promise<void>
  /** The same, for a test that may fail before it gets there. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface LocalHubOptions {
  readonly executable: string
  /** The flags of `serve`: the issuers that the hub trusts, and every setting that is to differ from its default. */
  readonly flags: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** A folder that is there, and goes with `dispose`. */
  readonly directory: string
  /** A program with its arguments that runs the hub, such as `prlimit --nofile=64`. */
  readonly wrapper?: readonly string[]
}

/**
 * Starts a hub on ports that the system chooses and resolves when it listens. Rejects with the hub's log when the hub
 * ends instead.
 */
export async function startLocalHub(options: LocalHubOptions): Promise<LocalHub> {
  const { executable, flags, env = {}, directory, wrapper = [] } = options
  if (!existsSync(executable)) throw new Error(`${executable} is missing: run sh scripts/build.sh`)
  const listen = ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--log-format', 'json']
  let log = ''
  const hub = new HubProcess({
    command: [...wrapper, executable, 'serve', ...listen, ...flags],
    env: { PATH: process.env['PATH'] ?? '', ...env },
    directory,
    onOutput: (text) => {
      log += text
    },
  })
  const addresses = await hub.addresses(PATIENCE_MS).catch(async (error) => {
    await hub.stop()
    throw new Error(`the hub: ${messageOf(error)}\n${log}`)
  })
  const dispose = async () => {
    await hub.stop()
    await promises.rm(directory, { recursive: true, force: true })
  }
  return {
    url: `${addresses.hub}/.well-known/mercure`,
    origin: addresses.hub,
    origins: addresses.hubs,
    adminUrl: addresses.admin ?? '',
    pid: hub.pid,
    directory,
    log: () => log,
    stop: (signal = 'SIGTERM') => hub.stop(signal),
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

/** The caller has a limit as well: this one only keeps a hub that hangs from being left behind. */
const PATIENCE_MS = 120_000
