import { localProcess } from '../../../src/bench/client/process.ts'
import { benchReplay, fillHistory } from '../../../src/bench/replay.ts'
import { median } from '../../../src/bench/report.ts'
import { benchOf, cinnabarOf, freeClient } from '../contenders.ts'
import { startHub } from '../hub.ts'

/** What is measured without anybody to compare with. */
export interface Alone {
  readonly replayed: number
  readonly history: number
  /** Milliseconds until the first and the last event of a replay. */
  readonly firstMs: number
  readonly lastMs: number
  /** The same for the first replay after a restart. */
  readonly coldLastMs: number
  /** From the start of the process to its first answer, in milliseconds. */
  readonly startMs: number
  readonly idleMegabytes: number
}

export async function measureAlone(history: number, rounds: number): Promise<Alone> {
  return { ...(await replay(history)), ...(await start(rounds)) }
}

async function replay(history: number) {
  const last = 10_000
  const flags = ['--hub-anonymous', '--history-max-count=2000000', '--history-max-bytes=2GiB']
  const before = await startHub({ flags })
  try {
    const bench = benchOf(await cinnabarOf(before), { updates: history, last, topic: TOPIC })
    const ask = { lastEventId: await fillHistory(bench), last, topic: TOPIC, rounds: 9 }
    const warm = await benchReplay(benchOf(await cinnabarOf(before), ask))
    await before.stop()
    const after = await startHub({ flags, directory: before.directory })
    const cold = await benchReplay(benchOf(await cinnabarOf(after), { ...ask, rounds: 1 }))
    await after.stop()
    const figure = (of: typeof warm, name: string) => of.figures[name] ?? Number.NaN
    return {
      history,
      replayed: Math.min(figure(warm, 'replayed'), figure(cold, 'replayed')),
      firstMs: figure(warm, 'first_event_ms'),
      lastMs: figure(warm, 'last_event_ms'),
      coldLastMs: figure(cold, 'last_event_ms'),
    }
  } finally {
    await before.dispose()
  }
}

const TOPIC = 'https://bench.example/standard/0'

/** On all cores, as a start has them. */
async function start(rounds: number) {
  await freeClient()
  const times: number[] = []
  const sizes: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = performance.now()
    const hub = await startHub()
    await fetch(`${hub.origin}/healthz`)
    times.push(performance.now() - before)
    sizes.push(localProcess(hub.pid).residentBytes() / 1e6)
    await hub.dispose()
  }
  return { startMs: median(times), idleMegabytes: median(sizes) }
}
