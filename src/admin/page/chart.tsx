import { useSignal } from '@preact/signals'
import { useRef } from 'preact/hooks'
import { hourMinute, percent } from './format.ts'

/** Lines over time, drawn as SVG: they follow the theme, can be read aloud, and cost one path each. */

export interface Line {
  readonly name: string
  readonly values: readonly number[]
  readonly colour: 1 | 2 | 3 | 4
  readonly format: (value: number) => string
  /** The figure of this moment, which is newer than the last of the values. */
  readonly now?: number
}

const highest = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, value), 0)
const lowest = (values: readonly number[]) =>
  values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY)

/** A round number at or above the value. */
function ceiling(value: number): number {
  if (value <= 0) return 1
  const unit = 10 ** Math.floor(Math.log10(value))
  return ([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((step) => step * unit >= value) ?? 10) * unit
}

function pathOf(
  values: readonly number[],
  top: number,
  bottom: number,
  width: number,
  height: number,
): string {
  const step = width / Math.max(1, values.length - 1)
  const scale = height / (top - bottom || 1)
  return values
    .map(
      (value, at) =>
        `${at === 0 ? 'M' : 'L'}${(at * step).toFixed(1)} ${(height - (value - bottom) * scale).toFixed(1)}`,
    )
    .join('')
}

/** The shape of the last hour, without axes. Starts at zero unless the figure never comes near it. */
export function Sparkline({ line }: { line: Line }) {
  const values = atLeastTwo(line.values)
  const least = lowest(values)
  const most = highest(values)
  const bottom = least > most * 0.5 ? least - (most - least) * 0.5 : 0
  const shape = pathOf(values, most + (most - bottom) * 0.06 || 1, bottom, 240, 44)
  const said = `${line.name}, last hour: from ${line.format(values[0] ?? 0)} to ${line.format(values.at(-1) ?? 0)}, between ${line.format(least)} and ${line.format(most)}`
  return (
    <svg
      class={`spark s${line.colour}`}
      viewBox="0 0 240 44"
      preserveAspectRatio="none"
      role="img"
      aria-label={said}
    >
      <path class="area" d={`${shape}L240 44L0 44Z`} />
      <path class="stroke" d={shape} />
    </svg>
  )
}

/** A line has two ends, also where there is one figure or none. */
function atLeastTwo(values: readonly number[]): readonly number[] {
  return values.length > 1 ? values : [values[0] ?? 0, values[0] ?? 0]
}

const HEIGHT = 104
const WIDTH = 600

/** Lines that share their time, one above the other, each with its own scale: two scales in one plot mislead. */
export function Timeline({
  lines: given,
  until,
  every,
}: {
  lines: readonly Line[]
  until: number
  every: number
}) {
  const lines = given.map((line) => ({ ...line, values: atLeastTwo(line.values) }))
  const at = useSignal<number | null>(null)
  const box = useRef<HTMLDivElement>(null)
  const length = lines[0]?.values.length ?? 0
  const shown = at.value ?? length - 1
  const timeOf = (index: number) => until - (length - 1 - index) * every * 1000
  const move = (event: PointerEvent) => {
    const rect = box.current?.getBoundingClientRect()
    if (rect === undefined || rect.width === 0) return
    at.value = Math.max(
      0,
      Math.min(length - 1, Math.round(((event.clientX - rect.left) / rect.width) * (length - 1))),
    )
  }
  const key = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 }[event.key]
    if (event.key === 'Escape') at.value = null
    if (step === undefined) return
    event.preventDefault()
    at.value = Math.max(0, Math.min(length - 1, shown + step))
  }
  const ticks = ticksOf(timeOf(0), until)
  const figure = (line: Line) =>
    line.format(at.value === null ? (line.now ?? line.values.at(-1) ?? 0) : (line.values[shown] ?? 0))
  const left = (time: number) => `${(((time - timeOf(0)) / (until - timeOf(0) || 1)) * 100).toFixed(2)}%`
  return (
    <div class="timeline">
      <div
        class="plots"
        ref={box}
        tabIndex={0}
        role="slider"
        aria-label={`${lines.map(({ name }) => name).join(' and ')}, over time`}
        aria-valuemin={0}
        aria-valuemax={length - 1}
        aria-valuenow={shown}
        aria-valuetext={`${hourMinute(timeOf(shown))}: ${lines.map((line) => `${line.name} ${figure(line)}`).join(', ')}`}
        onPointerMove={move}
        onPointerLeave={() => {
          at.value = null
        }}
        onKeyDown={key}
      >
        {lines.map((line) => {
          const top = ceiling(highest(line.values))
          return (
            <div class={`plot s${line.colour}`} key={line.name}>
              <p class="plot-head">
                <span class="key" aria-hidden="true" />
                <span>{line.name}</span>
                <b>{figure(line)}</b>
                <span class="quiet">{at.value === null ? 'now' : hourMinute(timeOf(shown))}</span>
              </p>
              <div class="plot-body">
                <span class="tick">{line.format(top)}</span>
                <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
                  <path
                    class="grid"
                    d={`M0 .5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}`}
                  />
                  <path
                    class="area"
                    d={`${pathOf(line.values, top, 0, WIDTH, HEIGHT)}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`}
                  />
                  <path class="stroke" d={pathOf(line.values, top, 0, WIDTH, HEIGHT)} />
                </svg>
                {at.value !== null && (
                  <span class="cross" style={{ left: left(timeOf(shown)) }}>
                    <i style={{ top: `${(1 - (line.values[shown] ?? 0) / top) * 100}%` }} />
                  </span>
                )}
              </div>
            </div>
          )
        })}
      </div>
      <div class="times" aria-hidden="true">
        {ticks.map((time) => (
          <span key={time} style={{ left: left(time) }}>
            {hourMinute(time)}
          </span>
        ))}
      </div>
    </div>
  )
}

/** Whole minutes in between, five at most. */
function ticksOf(from: number, until: number): number[] {
  const step = [60_000, 120_000, 300_000, 600_000].find((each) => (until - from) / each <= 5) ?? 900_000
  const ticks: number[] = []
  for (let time = Math.ceil(from / step) * step; time <= until; time += step) ticks.push(time)
  return ticks
}

/** How much of a limit is used. `marks` are thresholds on the way. */
export function Meter({
  name,
  value,
  limit,
  format,
  isFullNormal = false,
  marks = [],
}: {
  name: string
  value: number
  limit: number | null
  format: (value: number) => string
  isFullNormal?: boolean
  marks?: readonly number[]
}) {
  const part = limit === null || limit === 0 ? 0 : Math.min(1, value / limit)
  const level = isFullNormal ? 'plain' : part >= 0.9 ? 'bad' : part >= 0.8 ? 'warn' : 'plain'
  return (
    <div class="meter">
      <p>
        <span>{name}</span>
        <span class="figure">
          <b>{format(value)}</b>{' '}
          {limit === null || limit === 0 ? (
            <span class="quiet">no limit</span>
          ) : (
            <span class="quiet">of {format(limit)}</span>
          )}
        </span>
        <span class="part">{limit ? percent(part) : ''}</span>
      </p>
      {/* biome-ignore lint/a11y/useSemanticElements: no two browsers draw a meter in the same way. */}
      <div
        class={`bar ${level}`}
        role="meter"
        aria-label={name}
        aria-valuemin={0}
        aria-valuemax={limit ?? value}
        aria-valuenow={value}
        aria-valuetext={`${format(value)}${limit ? ` of ${format(limit)}` : ', no limit'}`}
      >
        <span style={{ width: `${Math.max(part * 100, limit ? 0.5 : 0)}%` }} />
        {marks.map((mark) => (
          <i key={mark} style={{ left: `${mark * 100}%` }} />
        ))}
      </div>
    </div>
  )
}
