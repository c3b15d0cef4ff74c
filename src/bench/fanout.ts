import { Tally } from './client/events.ts'
import { Latency } from './client/latency.ts'
import { Publishers, type PublishPlan, stampedBody } from './client/publishers.ts'
import type { Reader } from './client/reader.ts'
import { openReaders } from './client/readers.ts'
import { percentiles, type Report } from './report.ts'
import { type Bench, CpuUse, perSecond, Watch } from './run.ts'

/**
 * Measures deliveries to subscribers. A single publisher without a rate publishes one event at a time: the next when
 * all subscribers have the one before. Otherwise publishers go on as soon as they are answered.
 */
export async function benchFanout(bench: Bench): Promise<Report> {
  const tally = new Tally()
  const readers: Reader[] = []
  const memoryBefore = bench.local?.residentBytes() ?? Number.NaN
  try {
    await openReaders(crowd(bench, tally), readers)
    const publishers = await Publishers.open(bench.target, bench.options.publishers)
    try {
      await publishFor(bench, tally, publishers, bench.options.warmupMs, null)
      return { ...(await measure(bench, tally, publishers, memoryBefore)) }
    } finally {
      publishers.close()
    }
  } finally {
    for (const reader of readers) reader.close()
  }
}

async function measure(
  bench: Bench,
  tally: Tally,
  publishers: Publishers,
  memoryBefore: number,
): Promise<Report> {
  const latency = new Latency()
  tally.latency = latency
  publishers.answers.clear()
  const before = tally.events
  const cpu = new CpuUse(bench.local)
  const start = performance.now()
  const watch = new Watch(perSecond(() => tally.events))
  const { durationMs } = bench.options
  const run = publishFor(bench, tally, publishers, durationMs, 'fan-out').finally(() => watch.stop())
  const { published, missing } = await run
  const deliveries = tally.events - before
  const publishedSeconds = bench.options.durationMs / 1000
  const seconds = Math.max(publishedSeconds, (tally.lastAt - start) / 1000)
  const { subscribers } = bench.options
  const figures = {
    subscribers,
    publishers: bench.options.publishers,
    published,
    deliveries,
    deliveries_missing: missing,
    streams_ended: tally.ended,
    publishes_per_second: published / seconds,
    deliveries_per_second: deliveries / seconds,
    ...percentiles('delivery', latency),
    ...percentiles('answer', publishers.answers),
    hub_cpu_per_delivery_us: cpu.hubUs / deliveries,
    hub_memory_before_bytes: memoryBefore,
    hub_memory_after_bytes: bench.local?.residentBytes() ?? Number.NaN,
    client_cpu_percent: cpu.clientPercent,
  }
  const title = `Fan-out to ${subscribers.toLocaleString('en')} subscribers`
  const series = [{ name: 'deliveries', points: watch.points }]
  return { figures, plot: { title, xLabel: 'seconds', yLabel: 'deliveries per second', series } }
}

/** Publishes for `ms` and waits for the deliveries. */
async function publishFor(
  bench: Bench,
  tally: Tally,
  publishers: Publishers,
  ms: number,
  shown: string | null,
): Promise<{ published: number; missing: number }> {
  const { target, options, signal, progress, prefix } = bench
  const perEvent = options.subscribers / options.topics
  const before = tally.events
  const start = performance.now()
  const isSequential = options.publishers === 1 && options.rate === 0
  const due = (published: number) => Math.floor(before + published * perEvent)
  const plan: PublishPlan = {
    body: stampedBody(target, options.dataBytes, (number) => topic(prefix, number % options.topics)),
    rate: options.rate,
    isOver: () => {
      const passedMs = performance.now() - start
      if (shown !== null) progress.show(shown, passedMs / ms)
      return signal.aborted || passedMs >= ms
    },
    ...(isSequential && { pause: (accepted) => tally.reach(due(accepted), QUIET_MS, signal) }),
  }
  const published = await publishers.run(plan)
  await tally.reach(due(published), QUIET_MS, signal)
  return { published, missing: Math.max(0, due(published) - tally.events) }
}

function crowd({ target, options, prefix, signal, progress }: Bench, tally: Tally) {
  return {
    target,
    count: options.subscribers,
    topic: (number: number) => topic(prefix, number % options.topics),
    dataBytes: options.dataBytes,
    tally,
    signal,
    onOpened: (count: number) => progress.show('opening subscribers', count / options.subscribers),
  }
}

function topic(prefix: string, number: number): string {
  return `${prefix}${number}`
}

/** Deliveries that are outstanding when none came for this time count as missing. */
const QUIET_MS = 5000
