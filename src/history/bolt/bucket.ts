import { type BoltFile, LEAF } from './file.ts'

/** A key with its value, as they are in the file. */
export interface Pair {
  readonly key: Buffer
  readonly value: Buffer
}

/** The names of the buckets of the file, in their order. Throws HistoryProblem. */
export function bucketNames(file: BoltFile): readonly string[] {
  return [...buckets(file)].map(([name]) => name)
}

/**
 * Everything in a bucket in the order of its keys, which is that of their bytes; nothing when there is no such
 * bucket. Holds one leaf, and the branches above it, at a time. Throws HistoryProblem when the tree is damaged.
 */
export function* pairsOf(file: BoltFile, bucket: string): Generator<Pair> {
  const value = bucketOf(file, bucket)
  if (value === null) return
  if (value.length < BUCKET_BYTES) throw file.damaged()
  const root = value.readBigUInt64LE(0)
  // A small bucket is a leaf within the value itself.
  const elements = root === 0n ? leaf(file, value.subarray(BUCKET_BYTES)) : new Tree(file).walk(Number(root))
  let before: Buffer | null = null
  for (const { isBucket, key, value } of elements) {
    if (isBucket || (before !== null && Buffer.compare(before, key) >= 0)) throw file.damaged()
    before = key
    yield { key, value }
  }
}

function bucketOf(file: BoltFile, bucket: string): Buffer | null {
  for (const [name, value] of buckets(file)) if (name === bucket) return value
  return null
}

function* buckets(file: BoltFile): Generator<readonly [name: string, value: Buffer]> {
  let seen = 0
  for (const { isBucket, key, value } of new Tree(file).walk(file.rootPage)) {
    if (++seen > BUCKETS_MAX || key.length > KEY_BYTES_MAX) throw file.damaged()
    if (isBucket) yield [key.toString('utf8'), value]
  }
}

interface Element extends Pair {
  readonly isBucket: boolean
}

/** One walk over a tree: a page that is met again, in a circle or from two sides, uses up the number of pages. */
class Tree {
  readonly #file: BoltFile
  #left: number

  constructor(file: BoltFile) {
    this.#file = file
    this.#left = file.pages
  }

  *walk(number: number, depth = 0): Generator<Element> {
    if (depth > DEPTH_MAX || this.#left-- === 0) throw this.#file.damaged()
    const page = this.#file.page(number)
    switch (page.readUInt16LE(8)) {
      case BRANCH:
        for (const child of children(this.#file, page)) yield* this.walk(child, depth + 1)
        break
      case LEAF:
        yield* leaf(this.#file, page)
        break
      default:
        throw this.#file.damaged()
    }
  }
}

/** A branch: each element is 16 bytes, the place and the size of its lowest key, and the page that it leads to. */
function children(file: BoltFile, page: Buffer): readonly number[] {
  const count = countOf(file, page)
  return Array.from({ length: count }, (_, at) =>
    Number(page.readBigUInt64LE(HEADER_BYTES + at * ELEMENT_BYTES + 8)),
  )
}

/** A leaf: each element is 16 bytes, its kind, the place of its key counted from itself, and the two sizes. */
function* leaf(file: BoltFile, page: Buffer): Generator<Element> {
  if (page.length < HEADER_BYTES || page.readUInt16LE(8) !== LEAF) throw file.damaged()
  const count = countOf(file, page)
  for (let at = 0; at < count; at++) {
    const element = HEADER_BYTES + at * ELEMENT_BYTES
    const start = element + page.readUInt32LE(element + 4)
    const middle = start + page.readUInt32LE(element + 8)
    const end = middle + page.readUInt32LE(element + 12)
    if (end > page.length) throw file.damaged()
    const isBucket = (page.readUInt32LE(element) & BUCKET) !== 0
    yield { isBucket, key: page.subarray(start, middle), value: page.subarray(middle, end) }
  }
}

function countOf(file: BoltFile, page: Buffer): number {
  const count = page.readUInt16LE(10)
  if (HEADER_BYTES + count * ELEMENT_BYTES > page.length) throw file.damaged()
  return count
}

const HEADER_BYTES = 16
const ELEMENT_BYTES = 16
const BUCKET_BYTES = 16
const BRANCH = 1
const BUCKET = 1
const DEPTH_MAX = 24
const BUCKETS_MAX = 1000
const KEY_BYTES_MAX = 32_768
