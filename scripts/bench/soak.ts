/**
 * Publishes millions of updates of mixed sizes to the compiled hub while subscribers come, go, stall and
 * replay, and records what the kernel and the file system say. Run it after `sh scripts/build.sh` as
 * `bun scripts/bench/soak.ts [--transport sqlite|memory] [--updates N] [--minutes M]`. It writes
 * docs/bench/soak-<transport>.csv and .svg, and ends with 1 when something was not flat.
 */

import { parseArgs } from 'node:util'
import { linePlot, type Series } from '../../src/bench/plot.ts'
import { driftOf, GROWTH_MAX } from '../../src/bench/trend.ts'
import { hubToken, startHub } from './hub.ts'
import { runSoak, type SoakResult, type SoakSample, soakFlags } from './soak-run.ts'

const { values } = parseArgs({
  options: {
    transport: { type: 'string', default: 'sqlite' },
    updates: { type: 'string', default: '10000000' },
    minutes: { type: 'string', default: '40' },
    out: { type: 'string', default: new URL('../../docs/bench/', import.meta.url).pathname },
  },
})
const { transport, out } = values
const seconds = Number(values.minutes) * 60
const hub = await startHub({ flags: [...soakFlags, '--transport', transport] })
try {
  const result = await runSoak({
    hub,
    token: await hubToken(),
    updates: Number(values.updates),
    seconds,
    everySeconds: Math.max(1, seconds / 600),
    onSample: progress,
  })
  await Bun.write(`${out}/soak-${transport}.csv`, csv(result.samples))
  await Bun.write(`${out}/soak-${transport}.svg`, plot(result))
  process.exitCode = verdict(result) ? 0 : 1
} finally {
  await hub.dispose()
}

function progress({ seconds, published, residentBytes, fileBytes }: SoakSample): void {
  const figures = [`${Math.round(seconds)} s`, published, `${mebibytes(residentBytes)} MiB resident`]
  process.stderr.write(`${[...figures, `${mebibytes(fileBytes)} MiB on disk`].join(', ')}\n`)
}

function verdict({ samples, published, visits, isWhole }: SoakResult): boolean {
  const memory = driftOf(samples.map(({ residentBytes }) => residentBytes))
  const file = transport === 'sqlite' ? driftOf(samples.map(({ fileBytes }) => fileBytes)) : 1
  const isFlat = [memory, file].every((ratio) => ratio < GROWTH_MAX)
  const parts = [
    `${transport}: ${published} updates, ${visits} visitors`,
    `memory ${percent(memory)}, file and journal ${percent(file)} of the middle third`,
    isWhole ? 'no reader missed anything' : 'a reader missed something',
  ]
  console.log(`${isFlat && isWhole ? 'PASS' : 'FAIL'} ${parts.join('; ')}`)
  return isFlat && isWhole
}

function csv(samples: readonly SoakSample[]): string {
  const lines = samples.map((sample) => {
    const { seconds, published, residentBytes, fileBytes, rows, waitingBytes, subscribers } = sample
    return [seconds.toFixed(1), published, residentBytes, fileBytes, rows, waitingBytes, subscribers].join(
      ',',
    )
  })
  const names = 'seconds,published,resident_bytes,file_bytes,rows,waiting_bytes,subscribers'
  return `${[names, ...lines].join('\n')}\n`
}

function plot({ samples, published }: SoakResult): string {
  const series = (name: string, value: (sample: SoakSample) => number): Series => ({
    name,
    points: samples.map((sample) => [sample.published / 1_000_000, mebibytes(value(sample))]),
  })
  return linePlot({
    title: `${(published / 1_000_000).toFixed(1)} million updates of 100 B to 64 KiB, transport ${transport}`,
    xLabel: 'million updates published',
    yLabel: 'MiB',
    series: [
      series('resident memory', (sample) => sample.residentBytes),
      series('file and journal', (sample) => sample.fileBytes),
      series('waiting for readers', (sample) => sample.waitingBytes),
    ],
  })
}

function percent(ratio: number): string {
  return `${Math.round(ratio * 100)} %`
}

function mebibytes(bytes: number): number {
  return Math.round((bytes / 1024 / 1024) * 10) / 10
}
