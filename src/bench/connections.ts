import { Tally } from './client/events.ts'
import type { Reader } from './client/reader.ts'
import { openReaders } from './client/readers.ts'
import type { Report } from './report.ts'
import { type Bench, CpuUse, Watch } from './run.ts'

/**
 * Measures the cost of a connection: subscribers come, stay and leave, and nothing is published. The memory of one is
 * its share of what all of them add when a tenth of them is there already.
 */
export async function benchConnections(bench: Bench): Promise<Report> {
  const { local, options, progress } = bench
  const readers: Reader[] = []
  const resident = () => local?.residentBytes() ?? Number.NaN
  const before = resident()
  // The first ones also cost what the hub spends on itself: code that is compiled, tables that grow.
  const first = Math.floor(options.subscribers / 10)
  let settled = before
  const watch = new Watch(() => readers.length)
  try {
    const opening = new CpuUse(local)
    const openingS = await timed(async () => {
      await open(bench, first, readers)
      settled = resident()
      await open(bench, options.subscribers, readers)
    })
    const opened = readers.length
    const hubPerConnectionUs = opening.hubUs / opened
    await hold(bench)
    const after = resident()
    progress.show('leaving', 1)
    let left = 0
    const leavingS = await timed(async () => {
      left = await leave(readers)
    })
    const figures = {
      connections: opened,
      connections_per_second: opened / openingS,
      hub_cpu_per_connection_us: hubPerConnectionUs,
      hub_memory_before_bytes: before,
      hub_memory_after_bytes: after,
      memory_per_connection_bytes: (after - settled) / Math.max(opened - first, 0),
      teardown_s: leavingS,
      connections_not_closed: opened - left,
      hub_memory_end_bytes: resident(),
    }
    const title = `${opened.toLocaleString('en')} idle subscribers`
    const series = [{ name: 'connections', points: watch.points }]
    return { figures, plot: { title, xLabel: 'seconds', yLabel: 'open connections', series } }
  } finally {
    watch.stop()
    for (const reader of readers) reader.close()
  }
}

/** Opens more subscribers, until there are `count`. */
function open(
  { target, options, prefix, signal, progress }: Bench,
  count: number,
  readers: Reader[],
): Promise<void> {
  const from = readers.length
  const onOpened = (opened: number) => progress.show('opening subscribers', opened / options.subscribers)
  return openReaders(
    {
      target,
      count: count - from,
      topic: (number) => `${prefix}${(from + number) % options.topics}`,
      dataBytes: options.dataBytes,
      tally: new Tally(),
      signal,
      onOpened,
    },
    readers,
  )
}

/** Memory settles after the last connection. */
async function hold({ options, signal, progress }: Bench): Promise<void> {
  const start = performance.now()
  for (
    let passedMs = 0;
    passedMs < options.durationMs && !signal.aborted;
    passedMs = performance.now() - start
  ) {
    progress.show('idle', passedMs / options.durationMs)
    await Bun.sleep(50)
  }
}

/** Says goodbye on all connections and answers how many the hub has closed in time. */
async function leave(readers: readonly Reader[]): Promise<number> {
  let closed = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  // A timer that is left over would keep the process alive.
  const timer = setTimeout(resolve, LEAVE_MS)
  const all = readers.map((reader) => reader.closed.then(() => closed++))
  for (const reader of readers) reader.leave()
  await Promise.race([Promise.all(all), promise])
  clearTimeout(timer)
  return closed
}

const LEAVE_MS = 30_000

async function timed(run: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await run()
  return (performance.now() - start) / 1000
}
