/**
 * The thread that writes the history, so that no fsync ever stops the hub's own thread.
 * Life: `open` brings the file within its limits; then each request is one transaction or one bounded step of
 * tidying, answered in order; `close` empties the journal. A transaction that fails changes nothing and the
 * next one is tried afresh. When the file is not the one any more that was opened, the thread reads and writes nothing,
 * not even to close it. All times come with the requests: this thread has no clock.
 */

import { FileWatch } from './file-watch.ts'
import { codeOf, refusal } from './refusal.ts'
import { SqliteStore } from './store.ts'
import type { Done, Reply, Request } from './thread.ts'

declare const self: Worker

let store: SqliteStore | null = null
let watch: FileWatch | null = null

// Damage does not heal, and a publish that touches other pages may still succeed: from the first damaged page
// on, every probe fails.
let damage: Reply | null = null

self.onmessage = (event: MessageEvent<Request>) => {
  self.postMessage(answer(event.data))
}

function answer(request: Request): Reply {
  try {
    if (request.kind === 'open') {
      store = new SqliteStore(request)
      const done = store.open(request.now, request.anchor)
      watch = new FileWatch(request.path, request.descriptor)
      return done
    }
    if (store === null || watch === null) throw new Error('the writer is not open')
    return watched(store, watch, request)
  } catch (error) {
    const told = request.kind === 'open' ? refusal(request.path, codeOf(error)) : null
    const reply = failure(error, told)
    if (codeOf(error).startsWith('SQLITE_CORRUPT')) damage = reply
    return reply
  }
}

function watched(store: SqliteStore, watch: FileWatch, request: Exclude<Request, { kind: 'open' }>): Reply {
  const problem = () => watch.problem(() => store.journalBytesMin)
  const before = problem()
  if (before !== null) return lost(watch, before)
  if (request.kind === 'probe' && damage !== null) return damage
  const done = perform(store, request)
  // The writer acknowledges no batch that went into a file which has lost its name meanwhile.
  const after = request.kind === 'commit' ? problem() : null
  return after === null ? done : lost(watch, after)
}

function lost(watch: FileWatch, problem: string): Reply {
  return { kind: 'failed', code: 'store-unavailable', message: watch.tell(problem) }
}

/** `told`: a better message for the operator, where there is one. */
function failure(error: unknown, told: string | null): Reply {
  // A SQLite message names tables and columns, never a value.
  const code = codeOf(error) === 'SQLITE_FULL' ? 'store-full' : 'store-failed'
  const reason = codeOf(error) || (error instanceof Error ? error.message : 'unknown')
  return { kind: 'failed', code, message: told ?? `the history cannot be written: ${reason}` }
}

function perform(store: SqliteStore, request: Exclude<Request, { kind: 'open' }>): Done {
  switch (request.kind) {
    case 'commit':
      return store.commit(request.batch, request.now)
    case 'tidy':
      return store.tidy(request.now, request.isIdle)
    case 'anchor':
      return store.anchor(request.anchor)
    case 'probe':
      return store.probe()
    case 'close':
      return store.close()
    default:
      throw new Error(`unknown request: ${request satisfies never}`)
  }
}
