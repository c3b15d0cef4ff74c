import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Load } from '../../src/bench/client/load.ts'
import type { LocalHub } from '../../src/bench/client/local-hub.ts'
import { fetchMetric } from '../../src/bench/client/metrics.ts'
import { localProcess } from '../../src/bench/client/process.ts'

/** What is true of a running hub after so many publications, seen from outside. */
export interface Sample {
  readonly published: number
  /** Seconds since the first publication. */
  readonly seconds: number
  /** Updates kept, as the hub says. */
  readonly rows: number
  /** What these updates consist of: frames, ids and topics. */
  readonly liveBytes: number
  /** The history file, its journal and the journal's index, as the file system says. */
  readonly fileBytes: number
  /** `VmRSS`. */
  readonly residentBytes: number
}

export interface PastRun {
  readonly hub: LocalHub
  /** Allows to publish. */
  readonly token: string
  readonly count: number
  /** A sample after so many publications each, while publishing goes on. */
  readonly every: number
  /** Told the number of each update that was accepted, from 0. */
  readonly onAccepted?: (number: number) => void
  /** Called with publishing paused after so many publications each. */
  readonly pauseEvery: number
  readonly onPause?: (published: number) => Promise<void>
}

/** Publishes updates of 1 KB over 50 connections and samples the hub meanwhile. */
export async function runPast(run: PastRun): Promise<Sample[]> {
  const { hub, count, pauseEvery } = run
  const load = await Load.open(hub.url, run.token, 50)
  const sampling = new Sampling(run)
  try {
    for (let published = 0; published < count; published += pauseEvery) {
      const more = Math.min(pauseEvery, count - published)
      await load.publish(more, form, (number) => sampling.accepted(number))
      await sampling.samples()
      await run.onPause?.(published + more)
    }
  } finally {
    load.close()
  }
  return await sampling.samples()
}

/** The hub as it is now, after so many publications and seconds. */
export async function sample(hub: LocalHub, published: number, seconds: number): Promise<Sample> {
  const before = await fetchMetric(hub.adminUrl, 'cinnabar_history_rows')
  const onDisk = await fileBytes(hub)
  const resident = localProcess(hub.pid).residentBytes()
  const after = await fetchMetric(hub.adminUrl, 'cinnabar_history_rows')
  // The two figures come from different moments: what was kept when the file was looked at is between these.
  const rows = Math.max(before, after)
  const liveBytes = rows * UPDATE_BYTES
  return { published, seconds, rows, liveBytes, fileBytes: onDisk, residentBytes: resident }
}

/** The number of an update of a run, from its data. */
export function numberOf(data: string): number {
  return Number(data.replace(/^\.+/, ''))
}

class Sampling {
  readonly #run: PastRun
  readonly #start = performance.now()
  readonly #samples: Promise<Sample>[] = []
  #published = 0

  constructor(run: PastRun) {
    this.#run = run
  }

  accepted(number: number): void {
    this.#published++
    this.#run.onAccepted?.(number)
    if (this.#published % this.#run.every !== 0) return
    const seconds = (performance.now() - this.#start) / 1000
    this.#samples.push(sample(this.#run.hub, this.#published, seconds))
  }

  samples(): Promise<Sample[]> {
    return Promise.all(this.#samples)
  }
}

/** Bytes of the history on disk, with everything that SQLite keeps beside it. */
export async function fileBytes(hub: LocalHub): Promise<number> {
  const sizes = ['', '-wal', '-shm'].map((suffix) => sizeOf(join(hub.directory, `cinnabar.db${suffix}`)))
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/** The most that the file and its journal may take for so many live bytes. */
export function fileBytesMax(liveBytes: number): number {
  return 1.25 * liveBytes + 8 * 1024 * 1024
}

function form(number: number): string {
  return `topic=${encodeURIComponent(topic(number))}&data=${String(number).padStart(DATA_BYTES, '.')}`
}

function topic(number: number): string {
  return `https://example.com/readings/${100 + (number % 900)}`
}

const DATA_BYTES = 1024
// Ids that the hub makes: `urn:uuid:` and 36 characters.
const ID_BYTES = 45
const FRAME_BYTES = 'id: \ndata: \n\n'.length + ID_BYTES + DATA_BYTES
const UPDATE_BYTES = FRAME_BYTES + ID_BYTES + topic(0).length

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch {
    // The journal does not exist while nothing is in it.
    return 0
  }
}
