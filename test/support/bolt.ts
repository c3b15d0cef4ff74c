import { copyFileSync, utimesSync } from 'node:fs'

/** An update as a fixture says that the other hub accepted it. */
export interface BoltUpdate {
  readonly id: string
  readonly topics: readonly string[]
  readonly data: string | null
  readonly type: string | null
  readonly private: boolean
}

interface BoltFacts {
  /** Data that was not UTF-8 is written down in hexadecimal digits instead. */
  readonly updates: readonly (Omit<BoltUpdate, 'data'> & {
    readonly data?: string | null
    readonly dataHex?: string
  })[]
  readonly stored: { readonly entries: number; readonly subscriptionEvents: number }
}

/** A copy of the Bolt file that another hub left, written to at a time in milliseconds since the epoch. */
export function copyBolt(name: string, path: string, modifiedAt = Date.now()): string {
  copyFileSync(new URL(`${name}.db`, files), path)
  utimesSync(path, modifiedAt / 1000, modifiedAt / 1000)
  return path
}

/** The updates that a fixture still holds, in the order of its log, without events of subscriptions. */
export async function readBoltUpdates(name: string): Promise<readonly BoltUpdate[]> {
  const { updates, stored }: BoltFacts = await Bun.file(new URL(`${name}.json`, files)).json()
  const count = stored.entries - stored.subscriptionEvents
  const held = count === 0 ? [] : updates.slice(-count)
  return held.map(({ data, dataHex, ...update }) => {
    return {
      ...update,
      data: dataHex === undefined ? (data ?? null) : Buffer.from(dataHex, 'hex').toString(),
    }
  })
}

/** A program that has the file for itself, as a running hub does. Resolves when it has. */
export async function holdFile(path: string): Promise<{ readonly release: () => Promise<void> }> {
  const child = Bun.spawn(['flock', '--exclusive', path, 'cat'], { stdin: 'pipe', stdout: 'pipe' })
  child.stdin.write('held\n')
  child.stdin.flush()
  await child.stdout.getReader().read()
  return {
    release: async () => {
      child.stdin.end()
      await child.exited
    },
  }
}

const files = new URL('../../../shared/bolt/', import.meta.url)
