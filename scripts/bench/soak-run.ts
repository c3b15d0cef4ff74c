import { CrowdReader, openCrowd } from '../../src/bench/client/crowd.ts'
import { Load } from '../../src/bench/client/load.ts'
import type { LocalHub } from '../../src/bench/client/local-hub.ts'
import { fetchMetric } from '../../src/bench/client/metrics.ts'
import { localProcess } from '../../src/bench/client/process.ts'
import { until } from '../../src/bench/client/until.ts'
import { fileBytes } from './past-run.ts'

/** What is true of the hub at a moment of a soak, seen from outside. */
export interface SoakSample {
  readonly seconds: number
  readonly published: number
  /** `VmRSS`. */
  readonly residentBytes: number
  /** The history file, its journal and the journal's index; 0 for a log in memory. */
  readonly fileBytes: number
  readonly rows: number
  /** Bytes that wait for slow readers. */
  readonly waitingBytes: number
  readonly subscribers: number
}

export interface SoakRun {
  readonly hub: LocalHub
  /** Allows to publish. */
  readonly token: string
  /** Ends at whichever comes first. */
  readonly updates: number
  readonly seconds: number
  readonly everySeconds: number
  readonly onSample?: (sample: SoakSample) => void
}

export interface SoakResult {
  readonly samples: readonly SoakSample[]
  readonly published: number
  /** Readers that came and went. */
  readonly visits: number
  /** Whether every reader that stayed got every update once, in the same order. */
  readonly isWhole: boolean
}

/** Flags of the hub for a soak: a past that is full soon, and readers that are cut soon. */
export const soakFlags = [
  '--hub-anonymous',
  '--history-max-count=10000',
  '--history-max-bytes=16MiB',
  '--limits-subscriber-buffer=256KiB',
]

/** Publishes updates of mixed sizes while subscribers come, go, stall and replay. */
export async function runSoak({
  hub,
  token,
  updates,
  seconds,
  everySeconds,
  onSample,
}: SoakRun): Promise<SoakResult> {
  const staying = await openCrowd(STAYING, () => new CrowdReader(`${hub.url}?match=*`))
  const load = await Load.open(hub.url, token, PUBLISHERS)
  const visitors = new Visitors(hub)
  const samples: SoakSample[] = []
  const start = performance.now()
  const elapsed = () => (performance.now() - start) / 1000
  let published = 0
  try {
    while (published < updates && elapsed() < seconds) {
      const count = Math.min(BLOCK, updates - published)
      await load.publish(count, form)
      published += count
      visitors.step()
      if (elapsed() < samples.length * everySeconds) continue
      const sample = await look(hub, elapsed(), published)
      samples.push(sample)
      onSample?.(sample)
    }
    await until('the readers that stay', () => staying.every(({ count }) => count >= published), 120_000)
    const isWhole = staying.every(({ count, digest }) => count === published && digest === staying[0]?.digest)
    return { samples, published, visits: visitors.count, isWhole }
  } finally {
    for (const reader of staying) reader.stop()
    visitors.stop()
    load.close()
  }
}

const STAYING = 2
const PUBLISHERS = 50
const VISITORS = 10
/** Updates between two looks at the clock, and between two changes among the visitors. */
const BLOCK = 1000

/** Subscribers that come in turn, read, stall or replay, and go when their successors come. */
class Visitors {
  readonly #hub: LocalHub
  readonly #present: CrowdReader[] = []
  count = 0

  constructor(hub: LocalHub) {
    this.#hub = hub
  }

  /** One comes, the oldest goes. Every third starts with the past, every fourth takes nothing. */
  step(): void {
    const number = this.count++
    const url =
      number % 2 === 0 ? `${this.#hub.url}?match=*` : `${this.#hub.url}?match=${topic(number % TOPICS)}`
    const visitor = new CrowdReader(url, number % 3 === 0 ? 'earliest' : null)
    this.#present.push(visitor)
    // One that is refused comes again by itself, until it has to go.
    visitor.connect().catch(() => visitor.end())
    if (number % 4 === 0) visitor.pause()
    if (this.#present.length > VISITORS) this.#present.shift()?.stop()
  }

  stop(): void {
    for (const visitor of this.#present) visitor.stop()
  }
}

async function look(hub: LocalHub, seconds: number, published: number): Promise<SoakSample> {
  return {
    seconds,
    published,
    residentBytes: localProcess(hub.pid).residentBytes(),
    fileBytes: await fileBytes(hub),
    rows: await fetchMetric(hub.adminUrl, 'cinnabar_history_rows'),
    waitingBytes: await fetchMetric(hub.adminUrl, 'cinnabar_subscriber_buffer_bytes'),
    subscribers: await fetchMetric(hub.adminUrl, 'mercure_subscribers_connected'),
  }
}

function form(number: number): string {
  return `topic=${encodeURIComponent(topic(number % TOPICS))}&id=n${number}&data=${datas[number % datas.length]}`
}

function topic(number: number): string {
  return `https://example.com/things/${number}`
}

const TOPICS = 1000

/** A thousand sizes in bytes: nine tenths below 512, then up to 4 KiB, and five of 64 KiB. Always the same mix. */
const datas = Array.from({ length: 1000 }, (_, index) => 'x'.repeat(sizeOf((index * 7919) % 1000)))

function sizeOf(rank: number): number {
  if (rank < 900) return 100 + Math.floor((rank * 412) / 900)
  if (rank < 985) return 512 + (rank - 900) * 42
  return rank < 995 ? 16 * 1024 : 64 * 1024
}
