import { benchFanout } from '../../../src/bench/fanout.ts'
import { benchPublish } from '../../../src/bench/publish.ts'
import type { BenchOptions, Measure } from '../../../src/bench/run.ts'
import { benchOf, cinnabar } from '../contenders.ts'

/** A load that both executables get. */
export interface Load {
  readonly title: string
  readonly flags: readonly string[]
  readonly measure: Measure
  readonly options: Partial<BenchOptions>
  /** The figure of its report that is compared: less of it is better. */
  readonly figure: string
}

/**
 * What a hub does most, each in a few seconds. Only processor time is compared. Rates depend on who else uses the
 * machine: where others kept both cores busy, a build was 1.7 and again 1.4 times as slow as itself.
 */
export const loads: readonly Load[] = [
  {
    title: 'one event at a time to 1,000: µs of CPU per delivery',
    flags: [],
    measure: benchFanout,
    options: { subscribers: 1000, publishers: 1 },
    figure: 'hub_cpu_per_delivery_us',
  },
  {
    title: '50 publishers, 1,000 subscribers: µs of CPU per delivery',
    flags: [],
    measure: benchFanout,
    options: { subscribers: 1000, publishers: 50 },
    figure: 'hub_cpu_per_delivery_us',
  },
  {
    title: '50 publishers, nobody listens: µs of CPU per publication',
    flags: [],
    measure: benchPublish,
    options: { publishers: 50 },
    figure: 'hub_cpu_per_publish_us',
  },
  {
    title: 'the same without history: µs of CPU per publication',
    flags: ['--transport=local'],
    measure: benchPublish,
    options: { publishers: 50 },
    figure: 'hub_cpu_per_publish_us',
  },
]

/** Starts the executable, puts the load on it and answers with the figure. */
export async function measureLoad(load: Load, executable: string): Promise<number> {
  const running = await cinnabar(load.flags, executable)
  try {
    const bench = benchOf(running, { ...load.options, warmupMs: 1000, durationMs: 1500 })
    return (await load.measure(bench)).figures[load.figure] ?? Number.NaN
  } finally {
    await running.stop()
  }
}
