import type { DatedEntry, Position } from '../../hub/transport.ts'
import type { PastPage, ShownUpdate } from './answers.ts'
import { type TopicFilter, topicFilter } from './filter.ts'
import { Refusal } from './refusal.ts'
import type { ConsoleSources } from './sources.ts'
import { inspected, isShown, listed, type Seen, seen } from './update.ts'

/** Reads the past backwards, a little in each turn. */
export class PastReader {
  readonly #sources: ConsoleSources

  constructor(sources: ConsoleSources) {
    this.#sources = sources
  }

  /**
   * `before`: a position, `time:` with milliseconds since the epoch, `id:` with an event id, or nothing for now. Throws a
   * Refusal for another place or filter, and 404 for an id that is not kept.
   */
  async page(asked: URLSearchParams): Promise<PastPage> {
    const { location, hub, settings } = this.#sources
    const filter = topicFilter(asked.get('filter') ?? '', asked.get('type') ?? 'text', location)
    const before = await this.#placeOf(asked.get('before') ?? '')
    const { found, scanned, next } = await this.#search(before, filter)
    const { payloads } = settings()
    const rows = found.map((one) => listed(one, payloads))
    if (found.some((one) => one.private && isShown(one, payloads)))
      this.#sources.audit('show private data', { page: 'history' })
    return { head: hub.head.position, rows, scanned, next }
  }

  /** Throws a Refusal with 404 when it is not kept any more. */
  async inspect(position: number): Promise<ShownUpdate> {
    const { payloads } = this.#sources.settings()
    const entry = await this.#entryBefore(position + 1)
    if (entry?.position !== position) throw new Refusal(404, 'the update is not kept any more')
    if (entry.private && isShown(entry, payloads))
      this.#sources.audit('show private data', { page: 'update', subject: entry.id })
    return inspected(entry, entry.at + (await this.#offset()), payloads)
  }

  async #search(before: number, filter: TopicFilter | null) {
    const offset = await this.#offset()
    const found: Seen[] = []
    let scanned = 0
    let next: number | null = before
    while (next !== null && next > 1 && found.length < ROWS_MAX && scanned < SCANNED_MAX) {
      const page: readonly DatedEntry[] = await this.#browse(next, filter === null ? ROWS_MAX : SCAN_ROWS)
      next = page.length === 0 ? null : next
      for (const entry of page) {
        scanned++
        next = entry.position
        if (filter !== null && !filter(entry.topics)) continue
        found.push(seen(entry, entry.at + offset))
        if (found.length >= ROWS_MAX) break
      }
      await this.#turn()
    }
    return { found, scanned, next: next === null || next <= 1 ? null : next }
  }

  async #placeOf(text: string): Promise<number> {
    const { hub, transport } = this.#sources
    const now = hub.head.position + 1
    if (text === '') return now
    if (/^\d{1,16}$/.test(text)) return Math.min(now, Number(text))
    if (text.startsWith('id:')) {
      const position = await transport.find(text.slice('id:'.length))
      if (position === null) throw new Refusal(404, 'no update with this id is kept')
      return position + 1
    }
    const time = /^time:(\d{1,16})$/.exec(text)?.[1]
    if (time === undefined) throw new Refusal(400, 'the place in the past is not known')
    return await this.#before(Number(time) - (await this.#offset()), now)
  }

  /** The position before which all entries are not later than the time: times only rise along the log. */
  async #before(at: number, head: number): Promise<number> {
    let low = 1
    let high = head
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const entry = await this.#entryBefore(middle)
      if (entry === null || entry.at <= at) low = middle
      else high = Math.min(middle - 1, entry.position)
      await this.#turn()
    }
    return low
  }

  async #entryBefore(position: number): Promise<DatedEntry | null> {
    return (await this.#browse(position, 1))[0] ?? null
  }

  async #browse(before: number, entries: number): Promise<readonly DatedEntry[]> {
    const { transport } = this.#sources
    if (transport.browse === undefined) throw new Refusal(409, 'this log cannot be looked through')
    return await transport.browse(before as Position, { entries, bytes: PAGE_BYTES })
  }

  /** Milliseconds from the log's own time to that of the wall. */
  async #offset(): Promise<number> {
    return this.#sources.wall() - (await this.#sources.transport.stats()).now
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#sources.loop.later(resolve))
  }
}

const ROWS_MAX = 60
const SCAN_ROWS = 200
const SCANNED_MAX = 20_000
const PAGE_BYTES = 256 * 1024
