import { chartMark, terminalChart } from '../chart.ts'
import type { MemoryOutcome } from './report.ts'
import { cell, pointsOf } from './report.ts'

/** The terminal as it is at the moment. */
export interface Screen {
  readonly columns: number
  readonly rows: number
  readonly hasColor: boolean
}

/** A picture that is drawn over itself again and again, for someone who watches. */
export class LiveChart {
  readonly #write: (text: string) => void
  readonly #screen: () => Screen
  #drawn = 0

  constructor(write: (text: string) => void, screen: () => Screen) {
    this.#write = write
    this.#screen = screen
  }

  /** `share` is how far the run is, from 0 to 1. */
  draw(outcomes: readonly MemoryOutcome[], share: number): void {
    const lines = liveLines(outcomes, share, this.#screen())
    this.#write(`${this.#back()}${lines.map((line) => `${line}\x1b[K\n`).join('')}`)
    this.#drawn = lines.length
  }

  #back(): string {
    return this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A\r\x1b[J`
  }
}

/** The chart of resident memory with its legend, as many lines as the screen has room for. */
export function liveLines(
  outcomes: readonly MemoryOutcome[],
  share: number,
  { columns, rows, hasColor }: Screen,
): readonly string[] {
  const title = `resident memory  ${Math.round(100 * share)} %`.slice(0, columns)
  const room = Math.max(MIN_ROWS, rows - outcomes.length - 2)
  const chart = terminalChart({
    series: outcomes.map(({ configuration, course }) => ({
      name: configuration.name,
      points: pointsOf(course, (sample) => sample.residentBytes),
    })),
    // A terminal may wrap a line that fills its last column.
    width: columns - 1,
    height: Math.min(MAX_ROWS, room),
    hasColor,
    label: cell,
  })
  const legend = outcomes.map(
    (outcome, index) => `${chartMark(index, hasColor)} ${legendText(outcome).slice(0, columns - 3)}`,
  )
  return [title, ...chart, ...legend].slice(0, Math.max(MIN_ROWS, rows - 1))
}

function legendText({ configuration, course, sent, problem }: MemoryOutcome): string {
  const name = configuration.name.padEnd(14)
  if (problem !== null) return `${name} ${problem}`
  const now = course.latest
  const kept = Number.isFinite(now?.rows) ? (now?.rows ?? 0).toLocaleString('en') : '-'
  return [
    name,
    cell(now?.residentBytes ?? Number.NaN).padStart(10),
    `heap ${cell(now?.heapBytes ?? Number.NaN).padStart(10)}`,
    `disk ${cell(now?.diskBytes ?? Number.NaN).padStart(10)}`,
    `kept ${kept.padStart(9)}`,
    `sent ${sent.toLocaleString('en').padStart(9)}`,
  ].join('  ')
}

const MIN_ROWS = 6
const MAX_ROWS = 18
