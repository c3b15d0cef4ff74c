import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { audience, vectorIssuers } from './tokens.ts'

/** The compiled hub as a process: what end-to-end tests talk to. */
export interface RunningHub {
  /** The hub URL. */
  readonly url: string
  readonly origin: string
  readonly adminUrl: string
  readonly pid: number
  /** Where its history is. The folder outlives the process unless `dispose` is called. */
  readonly directory: string
  /** What it has logged so far. */
  readonly log: () => string
  /** Sends the signal and resolves with the exit code when the process has ended. */
  stop(signal?: NodeJS.Signals): Promise<number>
  /** Stops it when it still runs and removes its folder. */
  dispose(): Promise<void>
  /** The same, for a test that may fail before it gets there. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface HubOptions {
  /** Further flags of `serve`. */
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** False leaves the issuers to the flags, the environment or a file. */
  readonly hasIssuers?: boolean
  /** False leaves the resource identifier to them as well. */
  readonly hasAudience?: boolean
  /** A folder to go on in, as after a restart. By default a new one. */
  readonly directory?: string
}

const executable = new URL('../../dist/cinnabar', import.meta.url).pathname

/** The path of the executable. Throws when it was not built. */
export function binaryPath(): string {
  if (!existsSync(executable)) throw new Error('dist/cinnabar is missing: run sh scripts/build.sh')
  return executable
}

/**
 * Starts the hub on ports that the system chooses, with the issuers of the vectors, and resolves when it
 * listens. Rejects with its error output when it ends instead.
 */
export async function startHub(options: HubOptions = {}): Promise<RunningHub> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'cinnabar-test-')))
  const flags = [
    ...['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0'],
    ...(options.hasIssuers === false ? [] : ['--issuers', JSON.stringify(issuers())]),
    ...(options.hasAudience === false ? [] : ['--hub-resource-identifier', audience]),
    ...['--log-format', 'json', ...(options.flags ?? [])],
  ]
  const child = Bun.spawn([binaryPath(), 'serve', ...flags], {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '', ...options.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  const listening = Promise.withResolvers<{ readonly addresses: string; readonly admin: string | null }>()
  const reading = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) {
      log += decoder.decode(chunk, { stream: true })
      const line = log.split('\n').find((candidate) => candidate.includes('"message":"listening"'))
      if (line !== undefined) listening.resolve(JSON.parse(line))
    }
    listening.reject(new Error(`the hub ended: ${log}`))
  })()
  const { addresses, admin } = await listening.promise
  const [origin = ''] = addresses.split(' ')
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal)
    const code = await child.exited
    await reading.catch(() => {})
    return code
  }
  const dispose = async () => {
    if (child.exitCode === null && child.signalCode === null) await stop('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  }
  return {
    url: `${origin}/.well-known/mercure`,
    origin,
    adminUrl: admin ?? '',
    pid: child.pid,
    directory,
    log: () => log,
    stop,
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

function issuers(): unknown {
  return vectorIssuers().map(({ id, publisher, subscriber }) => ({ id, publisher, subscriber }))
}

/** Resident memory of a process in bytes, as the kernel counts it. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text()
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
}

/** One value of the admin listener's metrics. */
export async function metric(hub: RunningHub, name: string): Promise<number> {
  const text = await (await fetch(`${hub.adminUrl}/metrics`)).text()
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `))
  if (line === undefined) throw new Error(`no metric ${name}`)
  return Number(line.slice(name.length + 1))
}

/** Looks again, a little later each time, until the condition holds. Rejects after `ms`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 20_000,
): Promise<void> {
  const end = performance.now() + ms
  for (let pause = 5; ; pause = Math.min(100, pause * 1.5)) {
    if (await condition()) return
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`)
    await Bun.sleep(pause)
  }
}
