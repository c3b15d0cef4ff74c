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
export function linePlot({ title, xLabel, yLabel, series }: Plot): string {
  const points = series.flatMap((one) => one.points)
  const xMax = Math.max(1, ...points.map(([x]) => x))
  const yTicks = ticks(Math.max(1, ...points.map(([, y]) => y)))
  const yMax = yTicks.at(-1) ?? 1
  const at = (x: number, y: number): Place => ({
    x: round(LEFT + (x / xMax) * (WIDTH - LEFT - RIGHT)),
    y: round(HEIGHT - BOTTOM - (y / yMax) * (HEIGHT - TOP - BOTTOM)),
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text({ x: LEFT, y: 22 }, title, 'font-size="15"'),
    ...yTicks.map((y) => horizontal(at(0, y), y)),
    ...ticks(xMax).flatMap((x) => (x > xMax ? [] : vertical(at(x, 0), x))),
    text({ x: (WIDTH - RIGHT + LEFT) / 2, y: HEIGHT - 10 }, xLabel, 'text-anchor="middle"'),
    text({ x: LEFT, y: TOP - 10 }, yLabel, 'fill="#555"'),
    ...series.flatMap((one, index) => line(one, index, at)),
    '</svg>\n',
  ].join('\n')
}

const WIDTH = 800
const HEIGHT = 400
const LEFT = 60
const RIGHT = 190
const TOP = 60
const BOTTOM = 50
const COLORS = ['#b3261e', '#1f5fa8', '#3a7d34', '#8a5a00', '#6b3fa0']

interface Place {
  readonly x: number
  readonly y: number
}

function line(series: Series, index: number, at: (x: number, y: number) => Place): string[] {
  const color = COLORS[index % COLORS.length]
  const dashes = series.isLimit === true ? ' stroke-dasharray="6 4"' : ''
  const path = series.points.map(([x, y]) => at(x, y)).map(({ x, y }) => `${x},${y}`)
  const key = { x: WIDTH - RIGHT + 16, y: TOP + 8 + 20 * index }
  return [
    `<polyline points="${path.join(' ')}" fill="none" stroke="${color}" stroke-width="1.5"${dashes}/>`,
    `<path d="M${key.x} ${key.y - 4}h22" stroke="${color}" stroke-width="2"${dashes}/>`,
    text({ x: key.x + 28, y: key.y }, series.name),
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
  return `<text x="${x}" y="${y}" ${attributes}>${escaped(content)}</text>`
}

function escaped(content: string): string {
  return content.replace(/&/g, '&amp;').replace(/</g, '&lt;')
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
