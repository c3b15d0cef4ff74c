import type { Entry, Page, PageLimit, Position, Transport } from './transport.ts'

/**
 * Stretches of the log that were read a moment ago. Readers that catch up together ask for the same entries:
 * each stretch is read once and cut into pages for all of them, who share its bytes. A kept stretch may be older
 * than the log says, so the owner of this object forgets all of them within milliseconds.
 */
export class Stretches {
  readonly #transport: Transport
  readonly #limit: PageLimit
  #kept: Stretch[] = []
  /** The number of times that all was forgotten: a page that was asked for before is not kept. */
  #forgotten = 0

  /** `limit`: the limit of one stretch. */
  constructor(transport: Transport, limit: PageLimit) {
    this.#transport = transport
    this.#limit = limit
  }

  /** As `Transport.read`, with at most `bytes` bytes of frames on the page. */
  async read(after: Position, until: Position, bytes: number): Promise<Page | 'lost'> {
    const kept = this.#kept.find((stretch) => covers(stretch, after))
    if (kept !== undefined) return cut(kept.page, after, bytes)
    const forgotten = this.#forgotten
    const page = await this.#transport.read(after, until, this.#limit)
    if (page === 'lost') return page
    if (forgotten !== this.#forgotten) return cut(page, after, bytes)
    if (this.#kept.length === STRETCHES_MAX) this.#kept.shift()
    this.#kept.push({ after, page })
    return cut(page, after, bytes)
  }

  forget(): void {
    this.#kept = []
    this.#forgotten++
  }
}

const STRETCHES_MAX = 8

interface Stretch {
  readonly after: Position
  readonly page: Page
}

/** Entries between the start of a stretch and its first entry may be gone: only the log knows. */
function covers({ after: start, page }: Stretch, after: Position): boolean {
  const first = page.entries[0]?.position ?? page.next
  return after === start || (after >= first && after < page.next)
}

/** The part of the page after the position. At least one entry is on it, if there is one. */
function cut({ entries, next }: Page, after: Position, bytesMax: number): Page {
  const start = firstAfter(entries, after)
  let bytes = 0
  let end = start
  for (; end < entries.length; end++) {
    bytes += entries[end]?.frame.length ?? 0
    if (bytes > bytesMax && end > start) break
  }
  const last = entries[end - 1]
  if (end === entries.length || last === undefined) return { entries: entries.slice(start), next }
  return { entries: entries.slice(start, end), next: last.position }
}

/** The index of the first entry after the position, by halving. */
function firstAfter(entries: readonly Entry[], after: Position): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((entries[middle]?.position ?? 0) <= after) low = middle + 1
    else high = middle
  }
  return low
}
