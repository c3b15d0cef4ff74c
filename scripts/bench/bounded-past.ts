/**
 * Publishes 300,000 updates of 1 KB to the compiled hub under each limit of the history and records what the
 * file system and the kernel say meanwhile. Run it as `bun scripts/bench/bounded-past.ts [updates]` after
 * `sh scripts/build.sh`; it writes docs/bench/bounded-past-*.csv and .svg and prints a table.
 */

import { linePlot, type Series } from '../../src/bench/plot.ts'
import { hubToken, startHub } from './hub.ts'
import { fileBytesMax, runPast, type Sample } from './past-run.ts'

const runs = [
  { name: 'max-count', flag: '--history-max-count=10000', title: 'the newest 10,000 kept' },
  { name: 'max-age', flag: '--history-max-age=2s', title: 'the last 2 seconds kept' },
  { name: 'max-bytes', flag: '--history-max-bytes=8MiB', title: '8 MiB kept' },
] as const

const count = Number(process.argv[2] ?? 300_000)
const folder = new URL('../../docs/bench/', import.meta.url)
const table = []
for (const { name, flag, title } of runs) {
  const samples = await measure(flag)
  await Bun.write(new URL(`bounded-past-${name}.csv`, folder), csv(samples))
  await Bun.write(new URL(`bounded-past-${name}.svg`, folder), plot(title, samples))
  table.push({ flag, ...summary(samples) })
}
console.table(table)

async function measure(flag: string): Promise<Sample[]> {
  const hub = await startHub({ flags: [flag] })
  try {
    return await runPast({ hub, token: await hubToken(), count, every: 2500, pauseEvery: count })
  } finally {
    await hub.dispose()
  }
}

function csv(samples: readonly Sample[]): string {
  const lines = samples.map(({ published, seconds, rows, liveBytes, fileBytes, residentBytes }) =>
    [published, seconds.toFixed(2), rows, liveBytes, fileBytes, fileBytesMax(liveBytes), residentBytes].join(
      ',',
    ),
  )
  const names = 'published,seconds,rows,live_bytes,file_bytes,file_bytes_max,resident_bytes'
  return `${[names, ...lines].join('\n')}\n`
}

function plot(title: string, samples: readonly Sample[]): string {
  const series = (name: string, value: (sample: Sample) => number, isLimit = false): Series => ({
    name,
    isLimit,
    points: samples.map((sample) => [sample.published, mebibytes(value(sample))]),
  })
  return linePlot({
    title: `Updates of 1 KB, ${title}`,
    xLabel: 'updates published',
    yLabel: 'MiB',
    series: [
      series('resident memory', (sample) => sample.residentBytes),
      series('file and journal', (sample) => sample.fileBytes),
      series('limit: 1.25 × kept + 8', (sample) => fileBytesMax(sample.liveBytes), true),
      series('updates kept', (sample) => sample.liveBytes),
    ],
  })
}

function summary(samples: readonly Sample[]) {
  const shares = samples.map((sample) => sample.fileBytes / fileBytesMax(sample.liveBytes))
  const last = samples.at(-1)
  return {
    'rows at the end': last?.rows,
    'rows at most': Math.max(...samples.map(({ rows }) => rows)),
    'file MiB at most': mebibytes(Math.max(...samples.map(({ fileBytes }) => fileBytes))),
    'of its limit at most': `${Math.round(100 * Math.max(...shares))} %`,
    'RSS MiB at 50,000': resident(samples.find(({ published }) => published >= 50_000)),
    'RSS MiB at the end': resident(last),
    'updates per second': Math.round((last?.published ?? 0) / (last?.seconds ?? 1)),
  }
}

function resident(sample: Sample | undefined): number | null {
  return sample === undefined ? null : mebibytes(sample.residentBytes)
}

function mebibytes(bytes: number): number {
  return Math.round((bytes / 1024 / 1024) * 100) / 100
}
