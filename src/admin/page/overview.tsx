import type { HubView, SampleEvent, SampleName } from '../console/answers.ts'
import { type Line, Meter, Sparkline, Timeline } from './chart.tsx'
import { ago, compact, count, ms, size, span } from './format.ts'
import { Card, Fact, type Level, Mark, Scroll } from './parts.tsx'
import { hub, sample, series } from './state.ts'

const line = (
  values: readonly number[],
  name: string,
  colour: Line['colour'],
  format: Line['format'],
): Line => ({ name, values, colour, format })

export function OverviewPage() {
  const now = sample.value
  const about = hub.value
  const ring = series.value
  if (now === null || about === null || ring === null) return <p class="quiet">Asking the hub…</p>
  const of = (name: SampleName) => ring.series[name]
  const lasting = Math.max(1, of('rows').length - 1) * ring.every
  return (
    <>
      <Verdict
        now={now}
        about={about}
        slowHour={Math.round(of('slow').reduce((sum, each) => sum + each, 0) * ring.every)}
      />
      <div class="tiles">
        <Tile
          label="Subscribers"
          value={count(now.subscribers)}
          note={now.replaying > 0 ? `${count(now.replaying)} catching up` : 'all live'}
          line={line(of('subscribers'), 'Subscribers', 1, count)}
        />
        <Tile
          label="Published"
          value={count(now.published)}
          unit="/s"
          note={`p99 ${ms(now.publishP99)} ${about.transport === 'sqlite' ? 'to disk' : 'to the log'}`}
          line={line(of('published'), 'Published per second', 1, count)}
        />
        <Tile
          label="Delivered"
          value={count(now.delivered)}
          unit="/s"
          note={`${count(now.replayed)}/s replayed`}
          line={line(of('delivered'), 'Delivered per second', 1, compact)}
        />
        <Tile
          label="Delivery time, p99"
          value={ms(now.deliveryP99).split(' ')[0] ?? ''}
          unit={ms(now.deliveryP99).split(' ')[1] ?? ''}
          note={`p50 ${ms(now.deliveryP50)}`}
          line={line(of('deliveryP99'), 'Delivery time', 1, ms)}
        />
      </div>
      <div class="pair">
        <MemoryCard now={now} about={about} resident={of('resident')} />
        <HistoryCard now={now} about={about} />
      </div>
      <div class="pair wide-left">
        <Card
          title="Traffic"
          aside={
            <span class="quiet">
              last {span(lasting)}, a point each {ring.every} s
            </span>
          }
        >
          <Timeline
            until={ring.until}
            every={ring.every}
            lines={[
              { ...line(of('published'), 'Published per second', 1, count), now: now.published },
              { ...line(of('delivered'), 'Delivered per second', 3, compact), now: now.delivered },
            ]}
          />
        </Card>
        <Card title="What happened">
          <ol class="notices">
            {about.notices.slice(0, 6).map(({ at, level, text }) => (
              <li key={`${at} ${text}`}>
                <Mark level={level} />
                <span>{text}</span>
                <time class="quiet">{ago(at)}</time>
              </li>
            ))}
          </ol>
        </Card>
      </div>
      {about.nodes.length > 1 && <Nodes about={about} />}
    </>
  )
}

function Tile({
  label,
  value,
  unit,
  note,
  line,
}: {
  label: string
  value: string
  unit?: string
  note: string
  line: Line
}) {
  return (
    <section class="card tile" aria-label={label}>
      <h2>{label}</h2>
      <p class="value">
        {value}
        {unit !== undefined && <small>{unit}</small>}
      </p>
      <p class="quiet">{note}</p>
      <Sparkline line={line} />
    </section>
  )
}

/** Tells first, and in words, whether anything needs attention. Nothing is an answer too. */
function Verdict({ now, about, slowHour }: { now: SampleEvent; about: HubView; slowHour: number }) {
  const items: { level: Level; text: string; to: string }[] = []
  const { memory } = about.limits
  if (now.shedding > 0)
    items.push({
      level: 'bad',
      text: `Memory is above its limit: step ${now.shedding} of 4 of shedding`,
      to: 'memory',
    })
  else if (memory > 0 && now.resident > memory * 0.85)
    items.push({ level: 'warn', text: 'Memory is near its limit', to: 'memory' })
  if (now.failed > 0) items.push({ level: 'bad', text: 'Publications cannot be stored', to: 'history' })
  if (now.lag > 200) items.push({ level: 'warn', text: `The loop is late by ${ms(now.lag)}`, to: 'overview' })
  if (slowHour > 0)
    items.push({
      level: 'warn',
      text: `${count(slowHour)} slow ${slowHour === 1 ? 'reader was' : 'readers were'} cut in the last hour`,
      to: 'subscribers',
    })
  if (about.warnings > 0)
    items.push({
      level: 'info',
      text: `${about.warnings} ${about.warnings === 1 ? 'warning' : 'warnings'} about the configuration`,
      to: 'configuration',
    })
  const worst = items[0]?.level ?? 'good'
  return (
    <div class={`verdict ${worst}`} role="status">
      {items.length === 0 && (
        <p>
          <Mark level="good" />
          <span>Nothing needs attention.</span>
        </p>
      )}
      {items.map(({ level, text, to }) => (
        <p key={text}>
          <Mark level={level} />
          <a href={`#/${to}`}>{text}</a>
        </p>
      ))}
    </div>
  )
}

function MemoryCard({
  now,
  about,
  resident,
}: {
  now: SampleEvent
  about: HubView
  resident: readonly number[]
}) {
  const { memory, subscriberBuffer } = about.limits
  return (
    <Card title="Memory" class="memory" aside={<a href="#/memory">What it may come to</a>}>
      <Meter name="Resident" value={now.resident} limit={memory} format={size} marks={[0.8, 0.9]} />
      <Sparkline line={line(resident, 'Resident memory', 4, size)} />
      <dl class="facts">
        <Fact name="Waiting for slow readers">
          {size(now.waiting)}
          <span class="quiet"> of {size(subscriberBuffer)} each</span>
        </Fact>
        <Fact name="Accepted, not yet written">
          {size(now.pending)}
          <span class="quiet"> of 16 MiB</span>
        </Fact>
        <Fact name="Shedding">{now.shedding === 0 ? 'no' : `step ${now.shedding} of 4`}</Fact>
        <Fact name="Event loop late by">{ms(now.lag)}</Fact>
      </dl>
    </Card>
  )
}

function HistoryCard({ now, about }: { now: SampleEvent; about: HubView }) {
  const { maxCount, maxAge, maxBytes } = about.limits
  return (
    <Card title="History" aside={<a href="#/history">Browse</a>}>
      <p class="lead">
        A reader may stay away for <b>{span(now.oldestAge)}</b> and miss nothing.
      </p>
      <Meter name="Updates" value={now.rows} limit={maxCount} format={count} isFullNormal />
      <Meter name="Age of the oldest" value={now.oldestAge} limit={maxAge} format={span} isFullNormal />
      <Meter name="Stored bytes" value={now.bytes} limit={maxBytes} format={size} isFullNormal />
      <p class="foot quiet">
        {endOf(now, about)}
        File and journal {size(now.fileBytes)}
        {maxBytes === null ? '' : `, at most ${size(maxBytes * 1.25 + 8 * 2 ** 20)}`}.
      </p>
    </Card>
  )
}

/** Which limit is reached: that one decides how far back readers may come. */
function endOf(now: SampleEvent, { limits }: HubView): string {
  const parts = [
    ['The number of updates', limits.maxCount === null ? 0 : now.rows / limits.maxCount],
    ['The age', limits.maxAge === null ? 0 : now.oldestAge / limits.maxAge],
    ['The stored bytes', limits.maxBytes === null ? 0 : now.bytes / limits.maxBytes],
  ] as const
  const reached = parts.find(([, part]) => part > 0.99)
  return reached === undefined
    ? 'No limit is reached yet. '
    : `${reached[0]} ${reached[0].endsWith('s') && reached[0] !== 'The number of updates' ? 'are' : 'is'} what ends the past here. `
}

function Nodes({ about }: { about: HubView }) {
  return (
    <Card title="Nodes">
      <Scroll name="Nodes">
        <table>
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col" class="number">
                Subscribers
              </th>
              <th scope="col" class="number">
                Published
              </th>
              <th scope="col" class="number">
                Behind the head
              </th>
              <th scope="col" class="number">
                Last seen
              </th>
            </tr>
          </thead>
          <tbody>
            {about.nodes.map((node) => (
              <tr key={node.id}>
                <td>
                  {node.id}
                  {node.self && <span class="chip">this one</span>}
                </td>
                <td class="number">{count(node.subscribers)}</td>
                <td class="number">{count(node.published)}/s</td>
                <td class="number">{count(Math.max(...about.nodes.map(({ head }) => head)) - node.head)}</td>
                <td class="number">{node.seen === 0 ? 'now' : `${span(node.seen)} ago`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Card>
  )
}
