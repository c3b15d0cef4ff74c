/** A line of a plot. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
  /** A limit is drawn as a dashed line. */
  readonly isLimit?: boolean
}

export interface Plot {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly series: readonly Series[]
}

/** A line plot as SVG, readable on light and dark pages. Both axes start at zero. */
export function linePlot(plot: Plot): string {
  return document([panel(plot)])
}

/** Line plots below each other in one SVG. */
export function plots(all: readonly Plot[]): string {
  return document(all.map(panel))
}

function panel({ title, xLabel, yLabel, series }: Plot): readonly string[] {
  const points = series.flatMap((one) => one.points)
  const xMax = Math.max(1, ...points.map(([x]) => x))
  const yTicks = ticks(Math.max(1, ...points.map(([, y]) => y)))
  const yMax = yTicks.at(-1) ?? 1
  const at = (x: number, y: number): Place => ({
    x: round(LEFT + (x / xMax) * (WIDTH - LEFT - RIGHT)),
    y: round(HEIGHT - BOTTOM - (y / yMax) * (HEIGHT - TOP - BOTTOM)),
  })
  return [
    text({ x: LEFT, y: 22 }, title, 'font-size="15"'),
    ...yTicks.map((y) => horizontal(at(0, y), y)),
    ...ticks(xMax).flatMap((x) => (x > xMax ? [] : vertical(at(x, 0), x))),
    text({ x: (WIDTH - RIGHT + LEFT) / 2, y: HEIGHT - 10 }, xLabel, 'text-anchor="middle"'),
    text({ x: LEFT, y: TOP - 10 }, yLabel, 'fill="#555"'),
    ...series.flatMap((one, index) => line(one, index, at)),
  ]
}

/** Bars of one value each, grouped. */
export interface BarPlot {
  readonly title: string
  readonly yLabel: string
  /** The names of the bars that stand in each group. */
  readonly bars: readonly string[]
  readonly groups: readonly { readonly name: string; readonly values: readonly number[] }[]
}

/** Grouped bars as SVG. A value that is missing or not finite has no bar. */
export function barPlot({ title, yLabel, bars, groups }: BarPlot): string {
  const values = groups.flatMap((group) => group.values).filter(Number.isFinite)
  const yTicks = ticks(Math.max(1, ...values))
  const yMax = yTicks.at(-1) ?? 1
  const at = (share: number, y: number): Place => ({
    x: round(LEFT + share * (WIDTH - LEFT - RIGHT)),
    y: round(HEIGHT - BOTTOM - (y / yMax) * (HEIGHT - TOP - BOTTOM)),
  })
  const elements = [
    text({ x: LEFT, y: 22 }, title, 'font-size="15"'),
    ...yTicks.map((y) => horizontal(at(0, y), y)),
    text({ x: LEFT, y: TOP - 10 }, yLabel, 'fill="#555"'),
    ...groups.flatMap((group, index) => {
      const name = text(
        { x: at((index + 0.5) / groups.length, 0).x, y: HEIGHT - 25 },
        group.name,
        'text-anchor="middle"',
      )
      const width = 0.8 / groups.length / bars.length
      const drawn = group.values.map((value, place) =>
        bar(at((index + 0.1) / groups.length + place * width, value), width, at(0, 0).y, value, place),
      )
      return [name, ...drawn]
    }),
    ...bars.flatMap((name, index) => key(name, index, '')),
  ]
  return document([elements])
}

const WIDTH = 800
const HEIGHT = 400
const LEFT = 60
const RIGHT = 190
const TOP = 60
const BOTTOM = 50
const COLORS = [
  ...['#b3261e', '#1f5fa8', '#3a7d34', '#8a5a00', '#6b3fa0', '#00838f'],
  ...['#c2185b', '#455a64', '#9e9d24', '#ef6c00', '#5d4037', '#7986cb'],
]

interface Place {
  readonly x: number
  readonly y: number
}

/** Panels of equal size below each other. */
function document(panels: readonly (readonly string[])[]): string {
  const height = HEIGHT * panels.length
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...panels.flatMap((elements, index) =>
      index === 0 ? elements : [`<g transform="translate(0 ${index * HEIGHT})">`, ...elements, '</g>'],
    ),
    '</svg>\n',
  ].join('\n')
}

function bar({ x, y }: Place, share: number, floor: number, value: number, index: number): string {
  if (!Number.isFinite(value)) return ''
  const width = round(share * (WIDTH - LEFT - RIGHT) * 0.9)
  const color = COLORS[index % COLORS.length]
  const label = text({ x: x + width / 2, y: y - 4 }, readable(value), 'text-anchor="middle" font-size="10"')
  return `<rect x="${x}" y="${y}" width="${width}" height="${round(floor - y)}" fill="${color}"/>${label}`
}

function readable(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 })
}

function key(name: string, index: number, dashes: string): string[] {
  const color = COLORS[index % COLORS.length]
  const place = { x: WIDTH - RIGHT + 16, y: TOP + 8 + 20 * index }
  return [
    `<path d="M${place.x} ${place.y - 4}h22" stroke="${color}" stroke-width="2"${dashes}/>`,
    text({ x: place.x + 28, y: place.y }, name),
  ]
}

function line(series: Series, index: number, at: (x: number, y: number) => Place): string[] {
  const color = COLORS[index % COLORS.length]
  const dashes = series.isLimit === true ? ' stroke-dasharray="6 4"' : ''
  const path = series.points.map(([x, y]) => at(x, y)).map(({ x, y }) => `${x},${y}`)
  return [
    `<polyline points="${path.join(' ')}" fill="none" stroke="${color}" stroke-width="1.5"${dashes}/>`,
    ...key(series.name, index, dashes),
  ]
}

function horizontal({ x, y }: Place, value: number): string {
  const label = text({ x: x - 8, y: y + 4 }, value.toLocaleString('en'), 'text-anchor="end"')
  return `<path d="M${x} ${y}H${WIDTH - RIGHT}" stroke="#ddd"/>${label}`
}

function vertical({ x, y }: Place, value: number): string {
  return text({ x, y: y + 18 }, value.toLocaleString('en'), 'text-anchor="middle"')
}

/** Four to eight round numbers from zero to at least `max`. */
function ticks(max: number): number[] {
  const magnitude = 10 ** Math.floor(Math.log10(max))
  const step =
    [0.2, 0.5, 1, 2].map((factor) => factor * magnitude).find((size) => max / size <= 7) ?? magnitude
  return Array.from({ length: Math.ceil(max / step) + 1 }, (_, index) => round(index * step))
}

function text({ x, y }: Place, content: string, attributes = ''): string {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;')
  return `<text x="${x}" y="${y}" ${attributes}>${escaped}</text>`
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
