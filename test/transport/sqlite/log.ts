import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clocks, steady } from '../../../src/transport/log-clock.ts'
import type { Notice } from '../../../src/transport/notice.ts'
import { SqliteTransport } from '../../../src/transport/sqlite/transport.ts'
import { type Log, type LogOptions, unlimited } from '../contract.ts'

/** A log in a file, for tests. */
export interface SqliteLog extends Log {
  readonly transport: SqliteTransport
}

/** With more than one clock, and with ears. */
export interface SqliteLogOptions extends LogOptions {
  readonly clocks: Clocks
  readonly notify: (notice: Notice) => void
}

/** Starts the writer's thread from its source. */
export function startWriter(): Worker {
  return new Worker(new URL('../../../src/transport/sqlite/writer.ts', import.meta.url))
}

/** A folder of its own and what removes it. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'cinnabar-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** A log in a folder of its own. */
export function sqliteLog(options: LogOptions): SqliteLog {
  const folder = temporaryFolder()
  return { ...sqliteLogAt(join(folder.path, 'history.db'), options), dispose: async () => folder.remove() }
}

/** A log in this file. */
export function sqliteLogAt(path: string, options: Partial<SqliteLogOptions> = {}): SqliteLog {
  const { retention = unlimited, clock = () => 0 } = options
  const transport = new SqliteTransport({
    path,
    durability: 'full',
    retention,
    clocks: options.clocks ?? steady(clock),
    notify: options.notify ?? (() => {}),
    startWriter,
  })
  return {
    transport,
    prune: () => transport.prune(),
    again: (next) => sqliteLogAt(path, next),
    dispose: async () => {},
  }
}

/** Starts a process that appends, and waits until it has the log open. `more` reads on; false at the end. */
export async function startChild(path: string, prefix: string) {
  const script = new URL('./child.ts', import.meta.url).pathname
  const child = Bun.spawn([process.execPath, script, path, prefix], { stdout: 'pipe' })
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
  const lines: string[] = []
  let rest = ''
  const more = async () => {
    const { value, done } = await reader.read()
    const parts = (rest + (value ?? '')).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    return !done
  }
  while (!lines.includes('open')) {
    if (!(await more())) throw new Error('the child ended')
  }
  return { process: child, lines, more }
}
