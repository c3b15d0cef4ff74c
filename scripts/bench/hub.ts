import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issuersSetting, type RunIssuer, runToken } from '../../src/bench/client/issuer.ts'
import { type LocalHub, startLocalHub } from '../../src/bench/client/local-hub.ts'

export interface HubOptions {
  /** Further flags of `serve`. */
  readonly flags?: readonly string[]
  /** By default what `sh scripts/build.sh` has left. */
  readonly executable?: string
  /** A folder to go on in, as after a restart. By default a new one. */
  readonly directory?: string
}

/** What was built last. */
export const built = new URL('../../dist/cinnabar', import.meta.url).pathname

/** Starts the compiled hub, with one issuer, as most have, and resolves when it listens. */
export async function startHub({
  flags = [],
  executable = built,
  directory,
}: HubOptions = {}): Promise<LocalHub> {
  const issuers = issuersSetting(issuer, { key: issuer.key })
  return await startLocalHub({
    executable,
    flags: ['--issuers', issuers, '--hub-resource-identifier', issuer.audience, ...flags],
    directory: directory ?? (await mkdtemp(join(tmpdir(), 'cinnabar-bench-'))),
  })
}

/** A token that these hubs accept for everything. */
export function hubToken(): Promise<string> {
  token ??= runToken(issuer, crypto.randomUUID(), Date.now())
  return token
}

let token: Promise<string> | null = null

const issuer: RunIssuer = {
  id: 'https://bench.example',
  audience: 'https://bench.example/.well-known/mercure',
  key: crypto.getRandomValues(new Uint8Array(32)).toHex(),
}
