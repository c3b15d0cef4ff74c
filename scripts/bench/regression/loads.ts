import { benchFanout } from '../../../src/bench/fanout.ts'
import { benchPublish } from '../../../src/bench/publish.ts'
import type { BenchOptions, Measure } from '../../../src/bench/run.ts'
import { cinnabar } from '../contenders.ts'
import { benchOf } from '../standard-set.ts'

/** A load that both executables get, and the figures of it that are compared. */
export interface Load {
  readonly flags: readonly string[]
  readonly measure: Measure
  readonly options: Partial<BenchOptions>
  readonly figures: readonly Figure[]
}

export interface Figure {
  readonly title: string
  /** Its name in the report of the load. */
  readonly key: string
  readonly isCost: boolean
}

/**
 * What a hub does most, each in a few seconds. Processor time hardly depends on who else uses the machine. It does
 * not tell of a hub that waits, so there are two rates beside it.
 */
export const loads: readonly Load[] = [
  {
    flags: [],
    measure: benchFanout,
    options: { subscribers: 1000, publishers: 1 },
    figures: [cost('one event at a time to 1,000: µs of CPU per delivery', 'hub_cpu_per_delivery_us')],
  },
  {
    flags: [],
    measure: benchFanout,
    options: { subscribers: 1000, publishers: 50 },
    figures: [
      cost('50 publishers, 1,000 subscribers: µs of CPU per delivery', 'hub_cpu_per_delivery_us'),
      yields('50 publishers, 1,000 subscribers: deliveries per second', 'deliveries_per_second'),
    ],
  },
  {
    flags: [],
    measure: benchPublish,
    options: { publishers: 50 },
    figures: [
      cost('50 publishers, nobody listens: µs of CPU per publication', 'hub_cpu_per_publish_us'),
      yields('50 publishers, nobody listens: publications per second', 'publishes_per_second'),
    ],
  },
  {
    flags: ['--transport=local'],
    measure: benchPublish,
    options: { publishers: 50 },
    figures: [cost('the same without history: µs of CPU per publication', 'hub_cpu_per_publish_us')],
  },
]

/** Starts the executable, puts the load on it and answers with the figures by their titles. */
export async function measureLoad(load: Load, executable: string): Promise<ReadonlyMap<string, number>> {
  const running = await cinnabar(load.flags, executable)
  try {
    const bench = benchOf(running, { ...load.options, warmupMs: 1000, durationMs: 1500 })
    const { figures } = await load.measure(bench)
    return new Map(load.figures.map(({ title, key }) => [title, figures[key] ?? Number.NaN]))
  } finally {
    await running.stop()
  }
}

function cost(title: string, key: string): Figure {
  return { title, key, isCost: true }
}

function yields(title: string, key: string): Figure {
  return { title, key, isCost: false }
}
