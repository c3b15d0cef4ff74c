import { readSync, statSync } from 'node:fs'
import { realPath } from './file/real-path.ts'
import { PAGE_BYTES } from './size.ts'

/** A file as the file system has it now. */
interface Sight {
  readonly dev: number
  readonly ino: number
  readonly size: number
}

/** The three files of a history. SQLite keeps all of them as long as a process has the history open. */
interface Sights {
  readonly file: Sight | null
  readonly journal: Sight | null
  readonly index: Sight | null
}

/**
 * Tells whether the files of a history are still those that the hub has open: the file, its journal (`-wal`) and the
 * index of that (`-shm`). SQLite goes on writing to a file that has no name any more, and these writes are gone after
 * the next start; a read of an index that another program made shorter ends the process. A look costs 5 us.
 */
export class FileWatch {
  /** The path as the operator knows it. */
  readonly #name: string
  readonly #path: string
  readonly #descriptor: number | null
  /** The files at the last look, when all was well. */
  #known: Sights
  /** The first problem, which stays: nothing that was cut off comes back. */
  #cut: string | null = null

  /** Made when a connection has read the file. `descriptor`: the file, where it could be opened. */
  constructor(path: string, descriptor: number | null) {
    this.#name = path
    this.#path = realPath(path)
    this.#descriptor = descriptor
    this.#known = this.#look()
  }

  /**
   * The reason why nobody may read or write any more, as the end of a sentence about the history file; null when
   * all is well. `journalBytesMin` answers the least length of the journal, as SQLite sees it: the watch asks it when
   * the journal became shorter.
   */
  problem(journalBytesMin: () => number): string | null {
    const now = this.#look()
    const stranger = strangerIn(now, this.#known)
    this.#cut ??= stranger === null ? this.#findCut(now, journalBytesMin) : null
    if (stranger === null && this.#cut === null) this.#known = now
    return this.#cut ?? stranger
  }

  /** The problem as a whole sentence for the operator, with a remedy. */
  tell(problem: string): string {
    const cure = 'restart the hub to go on with what is there'
    return `the history file ${this.#name} ${problem} while the hub was running: ${cure}`
  }

  /** The problem of the index alone, which SQLite reads with every page: enough for a reader. */
  indexProblem(): string | null {
    const index = look(`${this.#path}-shm`)
    if (this.#isIndexCut(index)) return CUT_INDEX
    this.#known = { ...this.#known, index }
    return null
  }

  #look(): Sights {
    return {
      file: look(this.#path),
      journal: look(`${this.#path}-wal`),
      index: look(`${this.#path}-shm`),
    }
  }

  #findCut({ file, journal, index }: Sights, journalBytesMin: () => number): string | null {
    if (this.#isIndexCut(index)) return CUT_INDEX
    // A checkpoint of a tool makes both shorter too, and then SQLite needs less of them.
    if (isShorter(journal, this.#known.journal) && isTooShort(`${this.#path}-wal`, journalBytesMin)) {
      return 'has a -wal file that was cut short'
    }
    const isCut = isShorter(file, this.#known.file) && isTooShort(this.#path, () => this.#fileBytesMin())
    return isCut ? 'was cut short' : null
  }

  #isIndexCut(index: Sight | null): boolean {
    return isShorter(index, this.#known.index)
  }

  /** The number of pages is at 28 of the file (the SQLite file format, section 1.3): a checkpoint leaves as many. */
  #fileBytesMin(): number {
    if (this.#descriptor === null) return 1
    const header = Buffer.alloc(HEADER_BYTES)
    const isThere = readSync(this.#descriptor, header, 0, HEADER_BYTES, 0) === HEADER_BYTES
    return isThere ? header.readUInt32BE(28) * PAGE_BYTES : Number.POSITIVE_INFINITY
  }
}

/**
 * Whether the file stays shorter than it has to be. Asks for the needed length first: a file that grows meanwhile is
 * long enough, and it looks again at one that shrinks.
 */
function isTooShort(path: string, bytesMin: () => number): boolean {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const needed = bytesMin()
    if (sizeOf(look(path)) >= needed) return false
    // A tool may be in the middle of a checkpoint, which takes milliseconds.
    Bun.sleepSync(PAUSE_MS)
  }
  return true
}

function strangerIn(now: Sights, known: Sights): string | null {
  if (now.file === null) return 'was removed or moved away'
  if (isOther(now.file, known.file)) return 'was replaced by another file'
  if (isOther(now.journal, known.journal)) return 'has lost its -wal file'
  return isOther(now.index, known.index) ? 'has lost its -shm file' : null
}

function isOther(now: Sight | null, known: Sight | null): boolean {
  return known !== null && (now?.ino !== known.ino || now.dev !== known.dev)
}

function isShorter(now: Sight | null, known: Sight | null): boolean {
  return sizeOf(now) < sizeOf(known)
}

function sizeOf(sight: Sight | null): number {
  return sight?.size ?? 0
}

function look(path: string): Sight | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null
}

const CUT_INDEX = 'has a -shm file that was cut short'
const HEADER_BYTES = 100
const ATTEMPTS = 5
const PAUSE_MS = 10
