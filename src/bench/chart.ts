import type { Series } from './plot.ts'

/** A line chart in text, for a terminal. */
export interface Chart {
  readonly series: readonly Series[]
  /** Columns of the terminal, and lines that the chart may take, the axis included. */
  readonly width: number
  readonly height: number
  /** With colours lines are thin braille dots; without, each is drawn with its own letter. */
  readonly hasColor: boolean
  /** The text of a value on the y axis. */
  label(y: number): string
}

/** The lines of the chart, none wider than `width`. Both axes start at zero. */
export function terminalChart({ series, width, height, hasColor, label }: Chart): string[] {
  const points = series.flatMap((one) => one.points).filter(isDrawn)
  const xMax = points.reduce((max, [x]) => Math.max(max, x), 1)
  const yMax = 1.05 * points.reduce((max, [, y]) => Math.max(max, y), 1)
  const rows = Math.max(2, height - 1)
  const labels = Array.from({ length: rows }, (_, row) => axisLabel(row, rows, yMax, label))
  const margin = Math.max(...labels.map((text) => text.length))
  const columns = Math.max(2, width - margin - 2)
  const grid = new Grid(columns, rows)
  for (const [index, { points: line }] of series.entries()) {
    const places = line
      .filter(isDrawn)
      .map(
        ([x, y]): Dot => [
          Math.round((x / xMax) * (columns * DOTS_X - 1)),
          Math.round((1 - y / yMax) * (rows * DOTS_Y - 1)),
        ],
      )
    grid.draw(places, index)
  }
  const lines = labels.map((text, row) => `${text.padStart(margin)} ┤${grid.row(row, hasColor)}`)
  const end = `${Math.round(xMax)} s`
  return [...lines, `${' '.repeat(margin)} 0${end.padStart(columns)}`].map((line) =>
    hasColor ? line : line.slice(0, width),
  )
}

/** The sign of a line of the chart in a legend. */
export function chartMark(index: number, hasColor: boolean): string {
  return hasColor ? `\x1b[${colorOf(index)}m━\x1b[0m` : letterOf(index)
}

type Dot = readonly [x: number, y: number]

/** Dots of a braille character. */
const DOTS_X = 2
const DOTS_Y = 4
const BITS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
]

/** The six colours of every terminal that are neither black nor white, then the bright ones. */
const COLORS = [31, 34, 32, 33, 35, 36, 91, 94, 92, 93, 95, 96]

class Grid {
  readonly #columns: number
  readonly #rows: number
  readonly #dots: Uint8Array
  /** The line that was drawn last in each cell: it gives the cell its colour. */
  readonly #owners: Uint8Array

  constructor(columns: number, rows: number) {
    this.#columns = columns
    this.#rows = rows
    this.#dots = new Uint8Array(columns * rows)
    this.#owners = new Uint8Array(columns * rows)
  }

  draw(places: readonly Dot[], owner: number): void {
    for (const [at, place] of places.entries()) this.#stroke(places[at - 1] ?? place, place, owner)
  }

  row(row: number, hasColor: boolean): string {
    let line = ''
    for (let cell = row * this.#columns; cell < (row + 1) * this.#columns; cell++) {
      const dots = this.#dots[cell] ?? 0
      const owner = this.#owners[cell] ?? 0
      if (dots === 0) line += ' '
      else if (hasColor) line += `\x1b[${colorOf(owner)}m${String.fromCharCode(0x2800 + dots)}\x1b[0m`
      else line += letterOf(owner)
    }
    return line
  }

  #stroke([fromX, fromY]: Dot, [toX, toY]: Dot, owner: number): void {
    const steps = Math.max(1, Math.abs(toX - fromX), Math.abs(toY - fromY))
    for (let step = 0; step <= steps; step++) {
      const share = step / steps
      this.#dot(Math.round(fromX + share * (toX - fromX)), Math.round(fromY + share * (toY - fromY)), owner)
    }
  }

  #dot(x: number, y: number, owner: number): void {
    const [column, row] = [Math.floor(x / DOTS_X), Math.floor(y / DOTS_Y)]
    if (column < 0 || column >= this.#columns || row < 0 || row >= this.#rows) return
    const cell = row * this.#columns + column
    this.#dots[cell] = (this.#dots[cell] ?? 0) | (BITS[y % DOTS_Y]?.[x % DOTS_X] ?? 0)
    this.#owners[cell] = owner
  }
}

/** A label at the top, in the middle and at the bottom of the axis; other rows have none. */
function axisLabel(row: number, rows: number, yMax: number, label: (y: number) => string): string {
  if (![0, Math.floor(rows / 2), rows - 1].includes(row)) return ''
  return label(row === rows - 1 ? 0 : yMax * (1 - row / rows))
}

function isDrawn([x, y]: readonly [x: number, y: number]): boolean {
  return Number.isFinite(x) && Number.isFinite(y)
}

function colorOf(index: number): number {
  return COLORS[index % COLORS.length] ?? 0
}

function letterOf(index: number): string {
  return String.fromCharCode('a'.charCodeAt(0) + (index % 26))
}
