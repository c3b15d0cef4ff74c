import { existsSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LocalHub, startLocalHub } from '../../src/bench/client/local-hub.ts'
import { fetchMetric } from '../../src/bench/client/metrics.ts'
import { localProcess } from '../../src/bench/client/process.ts'
import { until as untilTrue } from '../../src/bench/client/until.ts'
import { audience, vectorIssuers } from './tokens.ts'

/** The compiled hub as a process: what end-to-end tests talk to. */
export type RunningHub = LocalHub

export interface HubOptions {
  /** Further flags of `serve`. */
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** False leaves the issuers to the flags, the environment or a file. */
  readonly hasIssuers?: boolean
  /** By default the one that was built last. */
  readonly executable?: string
  /** False leaves the resource identifier to them as well. */
  readonly hasAudience?: boolean
  /** A folder to go on in, as after a restart. By default a new one. */
  readonly directory?: string
  /** A program with its arguments that runs the hub, such as `prlimit --nofile=64`. */
  readonly wrapper?: readonly string[]
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
export async function startHub({ flags = [], env = {}, ...options }: HubOptions = {}): Promise<RunningHub> {
  const issuers = options.hasIssuers === false ? [] : ['--issuers', JSON.stringify(vectorSettings())]
  const resource = options.hasAudience === false ? [] : ['--hub-resource-identifier', audience]
  return await startLocalHub({
    executable: options.executable ?? binaryPath(),
    ...(options.wrapper !== undefined && { wrapper: options.wrapper }),
    flags: [...issuers, ...resource, ...flags],
    // A file that happens to be in a usual place is not part of a test.
    env: { CINNABAR_CONFIG: '', ...env },
    directory: options.directory ?? (await mkdtemp(join(tmpdir(), 'cinnabar-test-'))),
  })
}

function vectorSettings(): unknown {
  return vectorIssuers().map(({ id, publisher, subscriber }) => ({ id, publisher, subscriber }))
}

/** Resident memory of a process in bytes, as the kernel counts it. */
export async function residentBytes(pid: number): Promise<number> {
  return localProcess(pid).residentBytes()
}

/** One value of the admin listener's metrics. */
export async function metric(hub: RunningHub, name: string): Promise<number> {
  return await fetchMetric(hub.adminUrl, name)
}

/** Looks again, a little later each time, until the condition holds. Rejects after a while, by default 20 s. */
export const until = untilTrue
