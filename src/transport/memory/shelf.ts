import type { Entry, PageLimit, Position } from '../../hub/transport.ts'
import type { Frame } from '../../protocol/event-stream.ts'
import type { Allocate, Stretch } from './stretch.ts'

/** The figures that the shelf keeps with an entry. */
export interface Label {
  /** When it was accepted, in milliseconds. */
  readonly at: number
  /** Its bytes as retention counts them. */
  readonly bytes: number
  /** The index of its rule, or null. */
  readonly rule: number | null
  /** By which its id is found: 32 bits. */
  readonly key: number
}

/** An entry on the shelf without its contents. */
export interface Place extends Label {
  readonly position: Position
  readonly spot: Spot
  /** Bytes of its record. */
  readonly length: number
}

declare const spot: unique symbol

/** Where an entry is on the shelf. It may move. */
export type Spot = number & { readonly [spot]: true }

/** Where entries are, from outside. */
export interface Owner {
  /** Whether the entry of this position is at this spot, and not dropped. */
  isAt(position: Position, spot: Spot): boolean
  /** The entry has moved, while another one was dropped. */
  onMove(position: Position, spot: Spot): void
}

/**
 * The entries that are kept, as records in stretches of memory. Kept as objects they took twice their bytes, and four
 * times once they came and went: the collector walks over all that lives, and leaves for long what has died old.
 *
 * Life of a segment: records are put into the open one until the next does not fit. Once all of its records are
 * dropped its memory is given back, at once, but for two that are used again. When the gaps in all of them are more than
 * a quarter of what is kept, what is left in the one with the largest moves into the open one. Nobody outside ever holds
 * a part of one: pages are copies.
 */
export class Shelf {
  readonly #allocate: Allocate
  readonly #owner: Owner
  /** By the numbers that spots have. */
  readonly #segments: (Segment | null)[] = []
  readonly #unused: number[] = []
  /** Some that were given up, since the system takes its time to give memory. */
  readonly #spare: Stretch[] = []
  #open: Segment | null = null
  #reserved = 0
  #live = 0
  /** For the head of one record: what stands before its frame. */
  #head = Buffer.alloc(HEAD_BYTES)

  constructor(allocate: Allocate, owner: Owner) {
    this.#allocate = allocate
    this.#owner = owner
  }

  /** Throws `store-full` when there is no memory. */
  put({ position, id, topics, private: isPrivate, frame }: Entry, { at, bytes, rule, key }: Label): Spot {
    const text = JSON.stringify(topics)
    // UTF-8 has three bytes at most for each unit of UTF-16.
    const head = this.#headOf(HEADER_BYTES + 3 * (id.length + text.length))
    const idBytes = head.write(id, HEADER_BYTES)
    const topicsBytes = head.write(text, HEADER_BYTES + idBytes)
    head.writeDoubleLE(position, POSITION)
    head.writeDoubleLE(at, AT)
    head.writeUInt32LE(bytes, BYTES)
    head.writeInt32LE(rule ?? NO_RULE, RULE)
    head.writeUInt32LE(key, KEY)
    head.writeUInt32LE(frame.length, FRAME)
    head.writeUInt32LE(idBytes, ID)
    head.writeUInt32LE(topicsBytes, TOPICS)
    head.writeUInt8(isPrivate ? 1 : 0, PRIVATE)
    const headBytes = HEADER_BYTES + idBytes + topicsBytes
    const length = headBytes + frame.length
    const segment = this.#roomFor(length)
    segment.memory.write(segment.used, head, headBytes)
    segment.memory.write(segment.used + headBytes, frame, frame.length)
    return this.#settle(segment, length)
  }

  place(spot: Spot): Place {
    const { memory } = this.#segmentOf(spot)
    const head = this.#head
    memory.read(spot % SEGMENT_BYTES, head, HEADER_BYTES)
    const rule = head.readInt32LE(RULE)
    return {
      position: head.readDoubleLE(POSITION) as Position,
      spot,
      at: head.readDoubleLE(AT),
      bytes: head.readUInt32LE(BYTES),
      rule: rule === NO_RULE ? null : rule,
      key: head.readUInt32LE(KEY),
      length: lengthOf(head),
    }
  }

  id(spot: Spot): string {
    return idOf(this.#readHead(spot))
  }

  topics(spot: Spot): readonly string[] {
    return JSON.parse(topicsOf(this.#readHead(spot)))
  }

  /**
   * The entries as copies, until one is after `until` or the page is full. Their frames are parts of one piece, and
   * neighbours share equal lists of topics.
   */
  copy(spots: Iterable<Spot>, until: Position, limit: PageLimit): Copies {
    const copies: Copy[] = []
    let bytes = 0
    let isFull = false
    let text = ''
    let topics: readonly string[] = []
    for (const spot of spots) {
      const head = this.#readHead(spot)
      const position = head.readDoubleLE(POSITION) as Position
      if (position > until) break
      const frameBytes = head.readUInt32LE(FRAME)
      // One entry is read however large it is, and says nothing about a next one.
      isFull = copies.length > 0 && (copies.length >= limit.entries || bytes + frameBytes > limit.bytes)
      if (isFull) break
      bytes += frameBytes
      const own = topicsOf(head)
      if (own !== text) {
        text = own
        topics = JSON.parse(own)
      }
      const isPrivate = head.readUInt8(PRIVATE) === 1
      copies.push({
        position,
        id: idOf(head),
        topics,
        private: isPrivate,
        spot,
        headBytes: headOf(head),
        frameBytes,
      })
    }
    return { entries: this.#withFrames(copies, bytes), isFull }
  }

  /** Gives the record up. Copies of it stay as they are. */
  drop({ spot, length }: Place): void {
    this.#leave(this.#segmentOf(spot), length)
    while (this.#reserved - this.#live > this.#live * GAPS_SHARE + 2 * SEGMENT_BYTES) this.#clean()
  }

  clear(): void {
    for (const segment of this.#segments) if (segment !== null) this.#giveBack(segment)
    for (const memory of this.#spare.splice(0)) memory.free()
    this.#open = null
    this.#live = 0
  }

  #withFrames(copies: readonly Copy[], bytes: number): readonly Entry[] {
    const frames = new Uint8Array(bytes)
    let end = 0
    return copies.map(({ position, id, topics, private: isPrivate, spot, headBytes, frameBytes }) => {
      const frame = frames.subarray(end, end + frameBytes) as Frame
      end += frameBytes
      this.#segmentOf(spot).memory.read((spot % SEGMENT_BYTES) + headBytes, frame, frameBytes)
      return { position, id, topics, private: isPrivate, frame }
    })
  }

  /** A head of that many bytes at least, to be filled. It is the same one each time. */
  #headOf(bytes: number): Buffer {
    return bytes <= this.#head.length ? this.#head : Buffer.alloc(bytes)
  }

  /** The head of a record, until another one is asked for. */
  #readHead(spot: Spot): Buffer {
    const { memory, size } = this.#segmentOf(spot)
    const start = spot % SEGMENT_BYTES
    memory.read(start, this.#head, Math.min(this.#head.length, size - start))
    const bytes = headOf(this.#head)
    if (bytes <= this.#head.length) return this.#head
    const whole = Buffer.alloc(bytes)
    memory.read(start, whole, bytes)
    return whole
  }

  #segmentOf(spot: Spot): Segment {
    const segment = this.#segments[Math.floor(spot / SEGMENT_BYTES)] ?? null
    if (segment === null) throw new Error('there is no such record')
    return segment
  }

  #roomFor(length: number): Segment {
    // A large record has a segment of its own, so that little is left over at the end of the others.
    if (length > RECORD_BYTES_MAX) return this.#add(length)
    if (this.#open === null || this.#open.used + length > SEGMENT_BYTES) {
      const closed = this.#open
      this.#open = this.#add(SEGMENT_BYTES)
      if (closed?.live === 0) this.#giveBack(closed)
    }
    return this.#open
  }

  #add(size: number): Segment {
    const memory = (size === SEGMENT_BYTES ? this.#spare.pop() : undefined) ?? this.#allocate(size)
    const number = this.#unused.pop() ?? this.#segments.length
    const segment = { number, memory, size, used: 0, live: 0 }
    this.#segments[number] = segment
    this.#reserved += size
    return segment
  }

  /** Takes in the record that was written at the end of what is used. */
  #settle(segment: Segment, length: number): Spot {
    const spot = (segment.number * SEGMENT_BYTES + segment.used) as Spot
    segment.used += length
    segment.live += length
    this.#live += length
    return spot
  }

  #leave(segment: Segment, length: number): void {
    segment.live -= length
    this.#live -= length
    if (segment.live === 0 && segment !== this.#open) this.#giveBack(segment)
  }

  /** Makes what is left in the segment with the largest gaps move. */
  #clean(): void {
    let gappy: Segment | null = null
    for (const segment of this.#segments) {
      if (segment === null || segment === this.#open) continue
      if (gappy === null || segment.size - segment.live > gappy.size - gappy.live) gappy = segment
    }
    if (gappy === null) return
    const records = Buffer.alloc(gappy.used)
    gappy.memory.read(0, records, gappy.used)
    for (let start = 0, length = 0; start < records.length; start += length) {
      const record = records.subarray(start)
      length = lengthOf(record)
      const position = record.readDoubleLE(POSITION) as Position
      if (!this.#owner.isAt(position, (gappy.number * SEGMENT_BYTES + start) as Spot)) continue
      const to = this.#roomFor(length)
      to.memory.write(to.used, record, length)
      this.#owner.onMove(position, this.#settle(to, length))
      this.#leave(gappy, length)
    }
  }

  #giveBack({ number, memory, size }: Segment): void {
    this.#segments[number] = null
    this.#unused.push(number)
    this.#reserved -= size
    if (size === SEGMENT_BYTES && this.#spare.length < SPARE_MAX) this.#spare.push(memory)
    else memory.free()
  }
}

/** The copies of a page. */
export interface Copies {
  readonly entries: readonly Entry[]
  /** Whether there may be more. */
  readonly isFull: boolean
}

interface Copy extends Omit<Entry, 'frame'> {
  readonly spot: Spot
  readonly headBytes: number
  readonly frameBytes: number
}

interface Segment {
  readonly number: number
  readonly memory: Stretch
  readonly size: number
  used: number
  /** Bytes of records that are still kept. */
  live: number
}

function idOf(head: Buffer): string {
  return head.toString('utf8', HEADER_BYTES, HEADER_BYTES + head.readUInt32LE(ID))
}

/** As JSON. */
function topicsOf(head: Buffer): string {
  return head.toString('utf8', HEADER_BYTES + head.readUInt32LE(ID), headOf(head))
}

function headOf(head: Buffer): number {
  return HEADER_BYTES + head.readUInt32LE(ID) + head.readUInt32LE(TOPICS)
}

function lengthOf(head: Buffer): number {
  return headOf(head) + head.readUInt32LE(FRAME)
}

// Little beside the smallest history that makes sense in memory, and much beside most updates.
const SEGMENT_BYTES = 256 * 1024

const RECORD_BYTES_MAX = SEGMENT_BYTES / 8

const GAPS_SHARE = 0.25

const SPARE_MAX = 2

// A record: what follows, the id, the topics as JSON, and the frame.
const POSITION = 0
const AT = 8
const BYTES = 16
const RULE = 20
const KEY = 24
const FRAME = 28
const ID = 32
const TOPICS = 36
const PRIVATE = 40
const HEADER_BYTES = 41

/** Of nearly every head at most. */
const HEAD_BYTES = 512

/** Instead of the index of a rule. */
const NO_RULE = -1
