import { useSignal } from '@preact/signals'
import { type Advice, advise, type Plan } from '../../config/advice.ts'
import type { HubView, SampleEvent } from '../console/answers.ts'
import { count, size, span } from './format.ts'
import { Card, Mark, Scroll } from './parts.tsx'
import { hub, sample } from './state.ts'

export function MemoryPage() {
  const about = hub.value
  const now = sample.value
  const changed = useSignal<Plan | null>(null)
  if (about === null || now === null) return <p class="quiet">Asking the hub…</p>
  const plan = changed.value ?? actualPlan(about, now)
  const advice = advise(plan)
  return (
    <>
      <p class="lead">
        What this configuration may come to, at most and usually. Change a figure to see what would follow;
        nothing is changed in the hub.
      </p>
      <div class="pair advisor">
        <WhatIf
          plan={plan}
          isChanged={changed.value !== null}
          onChange={(next) => {
            changed.value = next
          }}
        />
        <div class="column">
          <Resident advice={advice} resident={now.resident} limit={about.limits.memory} />
          <PastAndDisk advice={advice} />
        </div>
      </div>
    </>
  )
}

/** The configuration as it is, with the load of the moment. */
function actualPlan({ transport, limits }: HubView, now: SampleEvent): Plan {
  return {
    transport,
    maxCount: limits.maxCount,
    maxAge: limits.maxAge,
    maxBytes: limits.maxBytes,
    subscribers: now.subscribers,
    stalled: 0.01,
    buffer: limits.subscriberBuffer,
    body: limits.body,
    bodies: limits.bodies,
    patternWeight: limits.patternWeight,
    rate: Math.max(1, Math.round(now.published)),
    size: now.rows === 0 ? 1024 : Math.max(16, Math.round(now.bytes / now.rows) - 212),
  }
}

function WhatIf({
  plan,
  isChanged,
  onChange,
}: {
  plan: Plan
  isChanged: boolean
  onChange: (plan: Plan | null) => void
}) {
  const set = (change: Partial<Plan>) => onChange({ ...plan, ...change })
  const aside = isChanged ? (
    <button type="button" class="small" onClick={() => onChange(null)}>
      As it is now
    </button>
  ) : (
    <span class="quiet">as it is now</span>
  )
  return (
    <Card title="What if" aside={aside}>
      <div class="inputs">
        <Amount
          label="Subscribers"
          value={plan.subscribers}
          from={0}
          to={100_000}
          log
          format={count}
          onChange={(subscribers) => set({ subscribers })}
        />
        <Amount
          label="Of them stalled"
          value={plan.stalled * 100}
          from={0}
          to={100}
          format={(value) => `${count(value)} %`}
          onChange={(stalled) => set({ stalled: stalled / 100 })}
        />
        <Amount
          label="Updates per second"
          value={plan.rate}
          from={1}
          to={50_000}
          log
          format={count}
          onChange={(rate) => set({ rate })}
        />
        <Amount
          label="Size of an update"
          value={plan.size}
          from={16}
          to={1_048_576}
          log
          format={size}
          onChange={(bytes) => set({ size: bytes })}
        />
        <hr />
        <Amount
          label="limits.subscriber_buffer"
          value={plan.buffer}
          from={16_384}
          to={16_777_216}
          log
          format={size}
          onChange={(buffer) => set({ buffer })}
        />
        <Amount
          label="history.max_count"
          value={plan.maxCount ?? 10_000_000}
          from={100}
          to={10_000_000}
          log
          format={count}
          onChange={(maxCount) => set({ maxCount })}
        />
        <Amount
          label="history.max_age"
          value={plan.maxAge ?? 2_592_000}
          from={60}
          to={2_592_000}
          log
          format={span}
          onChange={(maxAge) => set({ maxAge })}
        />
        <Amount
          label="history.max_bytes"
          value={plan.maxBytes ?? 68_719_476_736}
          from={1_048_576}
          to={68_719_476_736}
          log
          format={size}
          onChange={(maxBytes) => set({ maxBytes })}
        />
      </div>
    </Card>
  )
}

function Resident({ advice, resident, limit }: { advice: Advice; resident: number; limit: number }) {
  const scale = Math.max(advice.most, limit, 1)
  const said = advice.parts.map(({ name, most }) => `${name} ${size(most)}`).join(', ')
  return (
    <Card title="Resident memory">
      <div class="headline">
        <Figure name="Usually" text={size(advice.usually)} />
        <Figure name="At most" text={size(advice.most)} />
        <Figure name="Now" text={size(resident)} />
        <Figure name="limits.memory" text={limit === 0 ? 'none' : size(limit)} />
      </div>
      <div class="stack-bar" role="img" aria-label={`At most: ${said}`}>
        {advice.parts.map(({ name, most }, at) => (
          <span key={name} class={`p${at}`} style={{ width: `${(most / scale) * 100}%` }} />
        ))}
        {limit > 0 && <i style={{ left: `${(limit / scale) * 100}%` }} />}
      </div>
      <Scroll name="Parts of the memory">
        <table class="compact">
          <thead>
            <tr>
              <th scope="col">Part</th>
              <th scope="col" class="number">
                Usually
              </th>
              <th scope="col" class="number">
                At most
              </th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {advice.parts.map(({ name, usually, most, why }, at) => (
              <tr key={name}>
                <td>
                  <span class={`swatch p${at}`} aria-hidden="true" />
                  {name}
                </td>
                <td class="number" data-name="usually">
                  {size(usually)}
                </td>
                <td class="number" data-name="at most">
                  {size(most)}
                </td>
                <td class="quiet">{why}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <BudgetNote budget={advice.budget} limit={limit} />
    </Card>
  )
}

function BudgetNote({ budget, limit }: { budget: number; limit: number }) {
  if (limit > 0 && budget <= limit)
    return (
      <p class="note">
        <Mark level="good" />
        <span>The hub never needs to shed load with this.</span>
      </p>
    )
  const enough = Math.ceil(budget / 2 ** 20)
  return (
    <p class="note">
      <Mark level={limit > 0 ? 'warn' : 'info'} />
      <span>
        {limit > 0 ? 'At worst the hub sheds load. ' : 'No limit is set, so the hub never sheds load. '}
        <code>limits.memory = "{enough}MiB"</code> would never need to.
      </span>
    </p>
  )
}

function PastAndDisk({ advice: { kept, disk, kernel } }: { advice: Advice }) {
  return (
    <Card title="The past and the disk">
      <p class="lead">
        {kept.rows === 0 ? (
          'Nothing is kept: a reader that stays away misses what comes meanwhile.'
        ) : (
          <>
            A reader may stay away for <b>{span(kept.seconds)}</b>;{' '}
            {kept.binds === 'nothing' ? 'nothing' : `history.max_${kept.binds}`} ends it.
          </>
        )}
      </p>
      <div class="headline">
        <Figure name="Updates kept" text={Number.isFinite(kept.rows) ? count(kept.rows) : 'all'} />
        <Figure
          name="File at most"
          text={disk === 0 ? 'none' : Number.isFinite(disk) ? size(disk) : 'no limit'}
        />
        <Figure name="Sockets of stalled readers, in the kernel" text={size(kernel)} />
      </div>
    </Card>
  )
}

function Figure({ name, text }: { name: string; text: string }) {
  return (
    <p>
      <span class="quiet">{name}</span>
      <b>{text}</b>
    </p>
  )
}

interface AmountProps {
  readonly label: string
  readonly value: number
  readonly from: number
  readonly to: number
  readonly log?: boolean
  readonly format: (value: number) => string
  readonly onChange: (value: number) => void
}

/** A slider; figures of several sizes of ten share it evenly. */
function Amount({ label, value, from, to, log = false, format, onChange }: AmountProps) {
  const low = Math.max(1, from)
  const toSlider = (real: number) =>
    log
      ? (Math.log(Math.max(low, real) / low) / Math.log(to / low)) * 1000
      : ((real - from) / (to - from)) * 1000
  const toReal = (at: number) =>
    log
      ? at === 0
        ? from
        : roundish(low * (to / low) ** (at / 1000))
      : Math.round(from + ((to - from) * at) / 1000)
  return (
    <label class="amount">
      <span class={label.includes('.') ? 'mono' : ''}>{label}</span>
      <output>{format(value)}</output>
      <input
        type="range"
        min={0}
        max={1000}
        value={toSlider(value)}
        aria-valuetext={format(value)}
        onInput={(event) => onChange(toReal(event.currentTarget.valueAsNumber))}
      />
    </label>
  )
}

function roundish(value: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 1)
  return Math.round(value / unit) * unit
}
