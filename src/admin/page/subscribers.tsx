import { useSignal } from '@preact/signals'
import type { SubscriberPage, SubscriberRow } from '../console/answers.ts'
import { post } from './api.ts'
import { useAsked } from './asked.ts'
import { Dialog } from './dialog.tsx'
import { count, shortId, size, span } from './format.ts'
import { Card, Empty, Mark, Scroll, Trouble } from './parts.tsx'
import { hub } from './state.ts'

export function SubscribersPage() {
  const filter = useSignal('')
  const order = useSignal('waiting')
  const after = useSignal('0')
  const ending = useSignal<SubscriberRow | null>(null)
  const asked = new URLSearchParams({ filter: filter.value, order: order.value, after: after.value })
  const { answer, problem, again } = useAsked<SubscriberPage>(`/api/subscribers?${asked}`, 5000)
  const restart = (change: () => void) => {
    after.value = '0'
    change()
  }
  return (
    <>
      <form class="toolbar" onSubmit={(event) => event.preventDefault()}>
        <label class="grow">
          <span class="hidden">Filter</span>
          <input
            type="search"
            placeholder="Filter: a part of a matcher or an id, or a whole holder"
            onChange={(event) =>
              restart(() => {
                filter.value = event.currentTarget.value.trim()
              })
            }
          />
        </label>
        <label class="select">
          <span>Order</span>
          <select
            value={order.value}
            onChange={(event) =>
              restart(() => {
                order.value = event.currentTarget.value
              })
            }
          >
            <option value="waiting">Most waiting</option>
            <option value="newest">Newest</option>
            <option value="oldest">Oldest</option>
            <option value="behind">Furthest behind</option>
          </select>
        </label>
      </form>
      <Trouble text={problem} />
      {answer !== null && (
        <p class="quiet rate">
          {count(answer.matched)} of {count(answer.total)} streams
          {answer.rows.length < answer.matched ? `; ${count(answer.rows.length)} are shown.` : '.'}
        </p>
      )}
      {answer !== null && (
        <Card class="flush">
          {answer.rows.length === 0 ? (
            <Empty title={answer.total === 0 ? 'Nobody is subscribed now.' : 'No stream matches.'} />
          ) : (
            <Streams
              rows={answer.rows}
              onEnd={(row) => {
                ending.value = row
              }}
            />
          )}
        </Card>
      )}
      <Pager page={answer} after={after.value} onPage={(to) => (after.value = to)} />
      {ending.value !== null && (
        <Disconnect
          row={ending.value}
          onClose={() => {
            ending.value = null
            again()
          }}
        />
      )}
    </>
  )
}

function Pager({
  page,
  after,
  onPage,
}: {
  page: SubscriberPage | null
  after: string
  onPage: (to: string) => void
}) {
  if (page === null || (page.next === null && after === '0')) return null
  const { next } = page
  return (
    <div class="row">
      {after !== '0' && (
        <button type="button" onClick={() => onPage('0')}>
          First
        </button>
      )}
      {next !== null && (
        <button type="button" onClick={() => onPage(next)}>
          Next 100
        </button>
      )}
    </div>
  )
}

function Streams({ rows, onEnd }: { rows: readonly SubscriberRow[]; onEnd: (row: SubscriberRow) => void }) {
  return (
    <Scroll name="Streams">
      <table class="streams">
        <thead>
          <tr>
            <th scope="col">Reads</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Open for
            </th>
            <th scope="col" class="number">
              Waiting
            </th>
            <th scope="col">Holder</th>
            <th scope="col">
              <span class="hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Stream key={row.id} row={row} onEnd={onEnd} />
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}

function Stream({ row, onEnd }: { row: SubscriberRow; onEnd: (row: SubscriberRow) => void }) {
  return (
    <tr>
      <td class="topic">
        {row.matchers.map(({ type, pattern }) => (
          <div key={`${type} ${pattern}`}>
            <code>{pattern}</code>
            {type !== 'exact' && <span class="chip">{type === 'urlpattern' ? 'pattern' : type}</span>}
          </div>
        ))}
      </td>
      <td class="nowrap">
        <Mark level={row.state === 'live' ? 'good' : 'info'} />{' '}
        {row.state === 'live' ? 'live' : `${count(row.behind)} behind`}
      </td>
      <td class="number" data-name="open for">
        {span(Math.max(1, (Date.now() - row.openedAt) / 1000))}
      </td>
      <td class="number" data-name="waiting">
        {row.waiting === 0 ? <span class="quiet">0</span> : <b>{size(row.waiting)}</b>}
      </td>
      <td class="nowrap">
        {row.holder === null ? <span class="quiet">nobody in particular</span> : <code>{row.holder}</code>}
        <div class="quiet mono tiny" title={row.id}>
          {shortId(row.id)}
        </div>
        {row.payload !== null && <div class="quiet mono tiny payload">{row.payload}</div>}
      </td>
      <td class="actions">
        {hub.value?.may.act === true && (
          <button type="button" class="small" onClick={() => onEnd(row)}>
            Disconnect<span class="hidden"> {row.id}</span>
          </button>
        )}
      </td>
    </tr>
  )
}

function Disconnect({ row, onClose }: { row: SubscriberRow; onClose: () => void }) {
  const problem = useSignal<string | null>(null)
  const run = () =>
    post('/api/disconnect', { subscriber: row.id }).then(onClose, (error: Error) => {
      problem.value = error.message
    })
  return (
    <Dialog title="Disconnect this stream?" onClose={onClose}>
      <p>
        It reads <code class="wrap">{row.matchers[0]?.pattern}</code>. A client that follows the specification
        comes back with its last id at once, and misses nothing that is kept.
      </p>
      <Trouble text={problem.value} />
      <div class="row end">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="primary" onClick={() => void run()}>
          Disconnect
        </button>
      </div>
    </Dialog>
  )
}
