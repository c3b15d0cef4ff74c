import { benchConnections } from '../../../src/bench/connections.ts'
import { benchFanout } from '../../../src/bench/fanout.ts'
import { benchPublish } from '../../../src/bench/publish.ts'
import type { BenchOptions, Measure } from '../../../src/bench/run.ts'
import { benchOf, type Contender, cinnabar, findEpoll, findNchan } from '../contenders.ts'
import { findPushpin } from '../pushpin.ts'

/** One comparison: the same load on each contender, and the figure that counts. */
export interface Scenario {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly contenders: readonly ContenderName[]
  readonly measure: Measure
  readonly options: Partial<BenchOptions>
  readonly figure: string
  /** What the figure is multiplied with to be in the unit. */
  readonly scale?: number
}

export type ContenderName = (typeof names)[number]

const names = ['C epoll', 'nchan', 'cinnabar', 'cinnabar, live only', 'pushpin'] as const
const all = ['C epoll', 'nchan', 'cinnabar'] as const
const both = [...all, 'cinnabar, live only'] as const
/** pushpin is published to in a way of its own, so nothing is said of it with many publishers. */
const single = [...all, 'pushpin'] as const

/** The standard set. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'fanout-1000',
    title: 'one event at a time to 1,000: CPU per delivery',
    unit: 'µs',
    contenders: single,
    measure: benchFanout,
    options: { subscribers: 1000, publishers: 1 },
    figure: 'hub_cpu_per_delivery_us',
  },
  {
    name: 'fanout-5000',
    title: 'one event at a time to 5,000: CPU per delivery',
    unit: 'µs',
    contenders: single,
    measure: benchFanout,
    options: { subscribers: 5000, publishers: 1 },
    figure: 'hub_cpu_per_delivery_us',
  },
  {
    name: 'burst-1000',
    title: '50 publishers, 1,000 subscribers: deliveries per second',
    unit: 'per s',
    contenders: all,
    measure: benchFanout,
    options: { subscribers: 1000, publishers: 50 },
    figure: 'deliveries_per_second',
  },
  {
    name: 'publish',
    title: '50 publishers, nobody listens: CPU per publication',
    unit: 'µs',
    contenders: both,
    measure: benchPublish,
    options: { publishers: 50 },
    figure: 'hub_cpu_per_publish_us',
  },
  {
    name: 'publish-rate',
    title: 'the same: publications per second',
    unit: 'per s',
    contenders: both,
    measure: benchPublish,
    options: { publishers: 50 },
    figure: 'publishes_per_second',
  },
  {
    name: 'latency-60',
    title: '60 updates per second to 1,000: 99th percentile until delivered',
    unit: 'ms',
    contenders: all,
    measure: benchFanout,
    options: { subscribers: 1000, publishers: 10, rate: 60 },
    figure: 'delivery_p99_ms',
  },
  {
    name: 'idle-10000',
    title: '10,000 idle subscribers: resident memory of each',
    unit: 'KB',
    contenders: ['nchan', 'cinnabar'],
    measure: benchConnections,
    options: { subscribers: 10_000, durationMs: 1000 },
    figure: 'memory_per_connection_bytes',
    scale: 1e-3,
  },
  {
    name: 'topics-1',
    title: 'publishing to the only subscriber of the only topic: CPU per publication',
    unit: 'µs',
    contenders: ['cinnabar'],
    measure: benchFanout,
    options: { subscribers: 1, publishers: 1 },
    figure: 'hub_cpu_per_delivery_us',
  },
  {
    name: 'topics-10000',
    title: 'the same with 10,000 subscribers on 10,000 topics',
    unit: 'µs',
    contenders: ['cinnabar'],
    measure: benchFanout,
    options: { subscribers: 10_000, topics: 10_000, publishers: 1 },
    figure: 'hub_cpu_per_delivery_us',
  },
]

/** The hub, and whoever of the others can run here. */
export async function contenders(): Promise<ReadonlyMap<ContenderName, Contender>> {
  const found = new Map<ContenderName, Contender>([
    ['cinnabar', () => cinnabar()],
    ['cinnabar, live only', () => cinnabar(['--transport=local'])],
  ])
  const [epoll, nchan, pushpin] = [await findEpoll(), await findNchan(), await findPushpin()]
  if (epoll !== null) found.set('C epoll', epoll)
  if (nchan !== null) found.set('nchan', nchan)
  if (pushpin !== null) found.set('pushpin', pushpin)
  return found
}

/** Starts the contender anew, puts the load on it and answers with the figure. */
export async function measure(scenario: Scenario, contender: Contender, timing: Timing): Promise<number> {
  const running = await contender()
  try {
    if (running.cpuPerDeliveryUs !== undefined) {
      return await running.cpuPerDeliveryUs(scenario.options.subscribers ?? 1, timing.durationMs)
    }
    const report = await scenario.measure(benchOf(running, { ...timing, ...scenario.options }))
    return (report.figures[scenario.figure] ?? Number.NaN) * (scenario.scale ?? 1)
  } finally {
    await running.stop()
  }
}

export type Timing = Pick<BenchOptions, 'durationMs' | 'warmupMs'>
