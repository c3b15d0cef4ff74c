import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { shareFile } from '../../transport/sqlite/file/file-lock.ts'
import { HistoryProblem } from '../file.ts'

/**
 * A file of the Bolt key-value store, format 2, as another program left it: read only, a page at a time.
 *
 * The file is a tree of pages of one size. The first two hold what belongs to the whole, and the newer one of those
 * whose checksum is right counts. A page begins with its number, its kind, how many elements it has, and how many
 * pages after it belong to it. Pages that nothing points to hold old content, so only the tree is followed. Numbers
 * are little-endian.
 */
export class BoltFile {
  readonly #path: string
  readonly #descriptor: number
  readonly #bytes: number
  readonly #meta: Meta
  /** When it was last written to, in milliseconds since the epoch. */
  readonly modifiedAt: number

  /**
   * Throws HistoryProblem when another program has it open for writing, and when it cannot be read, is no such file, or
   * is damaged or cut off. Until it is closed, no program that keeps to the lock can change it.
   */
  constructor(path: string) {
    this.#path = path
    // A pipe would keep the process waiting for its writer.
    this.#descriptor = this.#trying(() => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK))
    try {
      const status = this.#trying(() => fstatSync(this.#descriptor))
      if (!status.isFile()) throw new HistoryProblem(`${path} is no file`)
      if (shareFile(this.#descriptor) === 'held') {
        throw new HistoryProblem(
          `${path} is in use by another program: stop that hub, or import a copy of the file`,
        )
      }
      this.#bytes = status.size
      this.modifiedAt = Math.max(0, Math.floor(status.mtimeMs))
      this.#meta = this.#readMeta()
    } catch (error) {
      closeSync(this.#descriptor)
      throw error
    }
  }

  /** The number of the page that the tree of the whole file begins at. */
  get rootPage(): number {
    return this.#meta.rootPage
  }

  /** The number of pages that the tree can have at most. */
  get pages(): number {
    return this.#meta.pages
  }

  /** Throws HistoryProblem when a program that keeps to no lock has changed the file since it was opened. */
  refuseChange(): void {
    const { size } = this.#trying(() => fstatSync(this.#descriptor))
    if (size !== this.#bytes || this.#readMeta().transaction !== this.#meta.transaction) {
      throw new HistoryProblem(`${this.#path} was changed while it was read: stop that hub, or import a copy`)
    }
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  /** The whole page with those that belong to it. Throws HistoryProblem when it is not what points to it. */
  page(number: number): Buffer {
    const { pageBytes, pages } = this.#meta
    if (number < 2 || number >= pages) throw this.damaged()
    const head = this.#read(number * pageBytes, HEADER_BYTES)
    const following = head.readUInt32LE(12)
    if (head.readBigUInt64LE(0) !== BigInt(number) || number + following >= pages) throw this.damaged()
    const length = (1 + following) * pageBytes
    // Only a leaf has values, and keys are short.
    if (length > (head.readUInt16LE(8) === LEAF ? LEAF_BYTES_MAX : BRANCH_BYTES_MAX)) {
      throw new HistoryProblem(
        `${this.#path} has a page of ${length} bytes, which is more than is read at once`,
      )
    }
    return this.#read(number * pageBytes, length)
  }

  /** The problem of a file whose content does not hold together. */
  damaged(): HistoryProblem {
    return new HistoryProblem(`${this.#path} is damaged: its pages do not hold together`)
  }

  #readMeta(): Meta {
    const first = this.#metaAt(0)
    // The second one is a page further, and how large a page is only a sound first one says.
    const sizes = first === null ? PAGE_SIZES : [first.pageBytes]
    const seconds = sizes.flatMap((size) => {
      const meta = this.#metaAt(size)
      return meta?.pageBytes === size ? [meta] : []
    })
    const metas = [...(first === null ? [] : [first]), ...seconds]
    const newest = metas.toSorted((left, right) => (left.transaction < right.transaction ? 1 : -1))[0]
    if (newest === undefined) {
      throw this.#hasMark() ? this.damaged() : new HistoryProblem(`${this.#path} is no Bolt file`)
    }
    if (newest.pages * newest.pageBytes > this.#bytes) {
      throw new HistoryProblem(`${this.#path} is damaged: its end is missing`)
    }
    return newest
  }

  #metaAt(offset: number): Meta | null {
    if (offset + HEADER_BYTES + META_BYTES > this.#bytes) return null
    const body = this.#read(offset + HEADER_BYTES, META_BYTES)
    const isSound =
      body.readUInt32LE(0) === MAGIC && checksum(body.subarray(0, 56)) === body.readBigUInt64LE(56)
    if (!isSound) return null
    if (body.readUInt32LE(4) !== VERSION) {
      throw new HistoryProblem(`${this.#path} is a Bolt file of another version`)
    }
    if (!PAGE_SIZES.includes(body.readUInt32LE(8))) return null
    return {
      pageBytes: body.readUInt32LE(8),
      rootPage: Number(body.readBigUInt64LE(16)),
      pages: Number(body.readBigUInt64LE(40)),
      transaction: body.readBigUInt64LE(48),
    }
  }

  /** Whether it once was such a file: where a page of the whole should be, its mark still is. */
  #hasMark(): boolean {
    return [0, ...PAGE_SIZES].some((offset) => {
      const end = offset + HEADER_BYTES + 4
      return end <= this.#bytes && this.#read(offset + HEADER_BYTES, 4).readUInt32LE(0) === MAGIC
    })
  }

  #read(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length)
    let done = 0
    while (done < length) {
      const read = this.#trying(() => readSync(this.#descriptor, bytes, done, length - done, offset + done))
      if (read === 0) throw this.damaged()
      done += read
    }
    return bytes
  }

  #trying<T>(step: () => T): T {
    try {
      return step()
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
      throw new HistoryProblem(`${this.#path} cannot be read: ${code}`, { cause })
    }
  }
}

interface Meta {
  readonly pageBytes: number
  readonly rootPage: number
  /** No page has this number or a higher one. */
  readonly pages: number
  readonly transaction: bigint
}

/** The kind of a page that has keys with their values. */
export const LEAF = 2

const LEAF_BYTES_MAX = 64 * 2 ** 20
const BRANCH_BYTES_MAX = 2 ** 20
const HEADER_BYTES = 16
const META_BYTES = 64
const MAGIC = 0xed0cdaed
const VERSION = 2

/** Those of the systems that such files are made on. */
const PAGE_SIZES: readonly number[] = [1024, 2048, 4096, 8192, 16384, 32768, 65536]

/** FNV-1a with 64 bits. */
function checksum(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash
}
