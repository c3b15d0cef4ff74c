import { Publishers, stampedBody } from './client/publishers.ts'
import { percentiles, type Report } from './report.ts'
import { type Bench, CpuUse, perSecond, Watch } from './run.ts'

/** Measures publishers on connections that stay open, while nobody listens. */
export async function benchPublish(bench: Bench): Promise<Report> {
  const { options } = bench
  const publishers = await Publishers.open(bench.target, options.publishers)
  try {
    let accepted = 0
    await publishFor(bench, publishers, options.warmupMs, () => {})
    publishers.answers.clear()
    const cpu = new CpuUse(bench.local)
    const start = performance.now()
    const watch = new Watch(perSecond(() => accepted))
    await publishFor(bench, publishers, options.durationMs, () => accepted++).finally(() => watch.stop())
    const seconds = (performance.now() - start) / 1000
    const figures = {
      publishers: options.publishers,
      published: accepted,
      publishes_per_second: accepted / seconds,
      ...percentiles('answer', publishers.answers),
      hub_cpu_per_publish_us: cpu.hubUs / accepted,
      hub_memory_after_bytes: bench.local?.residentBytes() ?? Number.NaN,
      client_cpu_percent: cpu.clientPercent,
    }
    const title = `Publishing over ${options.publishers} connections`
    const series = [{ name: 'publications', points: watch.points }]
    return { figures, plot: { title, xLabel: 'seconds', yLabel: 'publications per second', series } }
  } finally {
    publishers.close()
  }
}

async function publishFor(
  { target, options, signal, progress, prefix }: Bench,
  publishers: Publishers,
  ms: number,
  onAccepted: () => void,
): Promise<void> {
  const start = performance.now()
  await publishers.run({
    body: stampedBody(target, options.dataBytes, (number) => `${prefix}${number % options.topics}`),
    rate: options.rate,
    isOver: () => {
      const passedMs = performance.now() - start
      progress.show('publishing', passedMs / ms)
      return signal.aborted || passedMs >= ms
    },
    onAccepted,
  })
}
