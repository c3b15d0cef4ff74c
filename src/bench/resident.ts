import { UsageError } from '../command/command.ts'
import { Publishers, stampedBody } from './client/publishers.ts'
import type { Report } from './report.ts'
import { type Bench, Watch } from './run.ts'

/** Measures resident memory while many updates pass through the hub. */
export async function benchMemory(bench: Bench): Promise<Report> {
  const { target, options, local, signal, progress, prefix } = bench
  if (local === null) throw new UsageError('memory can only be seen with --pid, on the machine of the hub')
  const publishers = await Publishers.open(target, options.publishers)
  let accepted = 0
  const before = local.residentBytes()
  const watch = new Watch(() => local.residentBytes())
  const start = performance.now()
  try {
    await publishers.run({
      body: stampedBody(target, options.dataBytes, (number) => `${prefix}${number % options.topics}`),
      rate: options.rate,
      isOver: (number) => {
        progress.show('publishing', number / options.updates)
        return signal.aborted || number >= options.updates
      },
      onAccepted: () => accepted++,
    })
  } finally {
    watch.stop()
    publishers.close()
  }
  const sizes = watch.points.map(([, bytes]) => bytes)
  const warm = sizes[Math.floor(sizes.length / 5)] ?? before
  const after = local.residentBytes()
  const figures = {
    published: accepted,
    publishes_per_second: accepted / ((performance.now() - start) / 1000),
    hub_memory_before_bytes: before,
    hub_memory_after_a_fifth_bytes: warm,
    hub_memory_after_bytes: after,
    hub_memory_max_bytes: Math.max(before, after, ...sizes),
    growth_since_a_fifth_percent: 100 * (after / warm - 1),
  }
  const points = watch.points.map(([seconds, bytes]): [number, number] => [seconds, bytes / 1024 / 1024])
  const title = `Resident memory over ${accepted.toLocaleString('en')} updates`
  const series = [{ name: 'resident memory', points }]
  return { figures, plot: { title, xLabel: 'seconds', yLabel: 'MiB', series } }
}
