import { closeSync, openSync, writeSync } from 'node:fs'

/**
 * Writes a Bolt file of any size as another hub would have left it: bucket `updates`, one entry after the other. It holds
 * only the first key of each page, so a file of some gigabytes takes little memory.
 */
export function writeBolt(path: string, entries: Iterable<readonly [id: string, value: string]>): number {
  const file = new PageFile(path)
  let position = 0
  const rows = function* (): Generator<Row> {
    for (const [id, value] of entries)
      yield { key: keyOf(++position, id), value: Buffer.from(value), flags: 0 }
  }
  let level = file.leaves(rows())
  while (level.length > 1) level = file.branches(level)
  const root = Buffer.alloc(16)
  root.writeBigUInt64LE(BigInt(level[0]?.page ?? 0), 0)
  root.writeBigUInt64LE(BigInt(position), 8)
  const [bucket] = file.leaves([{ key: Buffer.from('updates'), value: root, flags: 1 }])
  file.finish(bucket?.page ?? 0)
  return position
}

interface Row {
  readonly key: Buffer
  readonly value: Buffer
  readonly flags: number
}

interface Child {
  readonly key: Buffer
  readonly page: number
}

const PAGE = 4096
const HEADER = 16
const ELEMENT = 16
const kinds = { branch: 1, leaf: 2, meta: 4, freelist: 16 } as const

class PageFile {
  readonly #descriptor: number
  // Two metas and the list of free pages come first.
  #next = 3

  constructor(path: string) {
    this.#descriptor = openSync(path, 'w', 0o600)
  }

  leaves(rows: Iterable<Row>): readonly Child[] {
    const children: Child[] = []
    let held: Row[] = []
    let bytes = HEADER
    const flush = () => {
      const [first] = held
      if (first !== undefined) children.push({ key: first.key, page: this.#write(leafPage(held)) })
      held = []
      bytes = HEADER
    }
    for (const row of rows) {
      const more = ELEMENT + row.key.length + row.value.length
      if (bytes + more > PAGE) flush()
      held.push(row)
      bytes += more
    }
    flush()
    return children
  }

  branches(children: readonly Child[]): readonly Child[] {
    const parents: Child[] = []
    for (let at = 0; at < children.length; at += FAN_OUT) {
      const group = children.slice(at, at + FAN_OUT)
      parents.push({ key: group[0]?.key ?? Buffer.alloc(0), page: this.#write(branchPage(group)) })
    }
    return parents
  }

  finish(root: number): void {
    writeSync(this.#descriptor, header(2, kinds.freelist, 0, 0), 0, HEADER, 2 * PAGE)
    for (const page of [0, 1])
      writeSync(this.#descriptor, metaPage(page, root, this.#next), 0, PAGE, page * PAGE)
    closeSync(this.#descriptor)
  }

  /** Writes a page at the end, over as many pages as it takes, and answers with its number. */
  #write(body: (page: number, overflow: number) => Buffer): number {
    const page = this.#next
    const length = body(page, 0).length
    const pages = Math.ceil(length / PAGE)
    const whole = Buffer.alloc(pages * PAGE)
    body(page, pages - 1).copy(whole)
    writeSync(this.#descriptor, whole, 0, whole.length, page * PAGE)
    this.#next += pages
    return page
  }
}

/** Children of a branch page: keys of some dozens of bytes fit. */
const FAN_OUT = 50

function keyOf(position: number, id: string): Buffer {
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64BE(BigInt(position))
  return Buffer.concat([prefix, Buffer.from(id)])
}

function header(page: number, flags: number, count: number, overflow: number): Buffer {
  const bytes = Buffer.alloc(HEADER)
  bytes.writeBigUInt64LE(BigInt(page), 0)
  bytes.writeUInt16LE(flags, 8)
  bytes.writeUInt16LE(count, 10)
  bytes.writeUInt32LE(overflow, 12)
  return bytes
}

const leafPage = (rows: readonly Row[]) => (page: number, overflow: number) => {
  const elements = Buffer.alloc(rows.length * ELEMENT)
  let at = elements.length
  for (const [index, { key, value, flags }] of rows.entries()) {
    const element = index * ELEMENT
    elements.writeUInt32LE(flags, element)
    elements.writeUInt32LE(at - element, element + 4)
    elements.writeUInt32LE(key.length, element + 8)
    elements.writeUInt32LE(value.length, element + 12)
    at += key.length + value.length
  }
  const bodies = rows.flatMap(({ key, value }) => [key, value])
  return Buffer.concat([header(page, kinds.leaf, rows.length, overflow), elements, ...bodies])
}

const branchPage = (children: readonly Child[]) => (page: number, overflow: number) => {
  const elements = Buffer.alloc(children.length * ELEMENT)
  let at = elements.length
  for (const [index, child] of children.entries()) {
    const element = index * ELEMENT
    elements.writeUInt32LE(at - element, element)
    elements.writeUInt32LE(child.key.length, element + 4)
    elements.writeBigUInt64LE(BigInt(child.page), element + 8)
    at += child.key.length
  }
  return Buffer.concat([
    header(page, kinds.branch, children.length, overflow),
    elements,
    ...children.map(({ key }) => key),
  ])
}

function metaPage(page: number, root: number, highWater: number): Buffer {
  const bytes = Buffer.alloc(PAGE)
  header(page, kinds.meta, 0, 0).copy(bytes)
  const body = bytes.subarray(HEADER, HEADER + 64)
  body.writeUInt32LE(0xed0cdaed, 0)
  body.writeUInt32LE(2, 4)
  body.writeUInt32LE(PAGE, 8)
  body.writeBigUInt64LE(BigInt(root), 16)
  body.writeBigUInt64LE(2n, 32)
  body.writeBigUInt64LE(BigInt(highWater), 40)
  body.writeBigUInt64LE(BigInt(page), 48)
  body.writeBigUInt64LE(fnv1a(body.subarray(0, 56)), 56)
  return bytes
}

function fnv1a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash
}
