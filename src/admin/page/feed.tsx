import { useSignal } from '@preact/signals'
import { useLayoutEffect, useRef } from 'preact/hooks'
import type { Audience, ShownUpdate } from '../console/answers.ts'
import { get, post } from './api.ts'
import { clock, count, size } from './format.ts'
import { Copy, Fact, Lock, Scroll } from './parts.tsx'
import { curlPublish } from './snippets.ts'
import { chosen, hub } from './state.ts'

/** Updates as a table, of which one can be read. */
export function Feed({ rows, name }: { rows: readonly ShownUpdate[]; name: string }) {
  return (
    <Scroll name={name}>
      <table class={`feed ${chosen.value === null ? '' : 'beside'}`}>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Topic</th>
            <th scope="col">Type</th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col">Data</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((update) => (
            <Row key={update.p} update={update} />
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}

function Row({ update }: { update: ShownUpdate }) {
  const others = update.topicCount - 1
  const open = () => {
    chosen.value = update
  }
  return (
    <tr class={chosen.value?.p === update.p ? 'chosen' : ''} onClick={open}>
      <td class="mono quiet">{clock(update.at)}</td>
      <td class="topic">
        <div>
          <button type="button" class="plain mono" id={`update-${update.p}`}>
            <Topic text={update.topics[0] ?? ''} />
          </button>
          {others > 0 && (
            <span class="chip" title={update.topics.slice(1).join('\n')}>
              +{others}
            </span>
          )}
        </div>
      </td>
      <td>{update.type ?? ''}</td>
      <td class="number">{size(update.bytes)}</td>
      <td class="data">
        {update.data === null ? (
          <span class="quiet">
            <Lock /> {update.private ? 'private' : 'not shown'}
          </span>
        ) : (
          <code>{update.data}</code>
        )}
      </td>
    </tr>
  )
}

/** Many topics share their origin: the rest, which tells them apart, stands out. */
export function Topic({ text }: { text: string }) {
  const origin = /^[a-z][a-z0-9+.-]*:\/\/[^/]+/i.exec(text)?.[0] ?? ''
  return (
    <>
      <span class="quiet">{origin}</span>
      <wbr />
      {text.slice(origin.length)}
    </>
  )
}

/** One update, as a whole. Escape closes it, and the focus returns to its row. */
export function Inspector() {
  const listed = chosen.value
  const whole = useSignal<ShownUpdate | null>(null)
  const position = listed?.p ?? null
  const button = useRef<HTMLButtonElement>(null)
  const close = () => {
    chosen.value = null
    if (position === null) return
    const row = document.getElementById(`update-${position}`)
    if (row === null) document.getElementById('main')?.focus()
    else row.focus()
  }
  // With the element itself: a key that is pressed as soon as it is there is for it.
  useLayoutEffect(() => {
    whole.value = null
    if (position === null) return
    button.current?.focus({ preventScroll: true })
    const abort = new AbortController()
    // A log without a past has only what the list shows.
    get<ShownUpdate>(`/api/history/${position}`, abort.signal).then(
      (answer) => {
        if (!abort.signal.aborted) whole.value = answer
      },
      () => {},
    )
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape') close()
    }
    addEventListener('keydown', onKey)
    return () => {
      abort.abort()
      removeEventListener('keydown', onKey)
    }
  }, [position])
  if (listed === null) return null
  const update = whole.value?.p === listed.p ? whole.value : listed
  const address = hub.value?.address ?? ''
  return (
    <aside class="inspector" aria-label="One update">
      <header>
        <h2>Update</h2>
        <button type="button" class="small" onClick={close} ref={button}>
          Close
        </button>
      </header>
      <dl class="stack">
        <Fact whole name={update.topicCount > 1 ? 'Topics, the canonical one first' : 'Topic'}>
          {update.topics.map((topic) => (
            <code key={topic} class="block">
              {topic}
            </code>
          ))}
          {update.topicCount > update.topics.length && (
            <span class="quiet">and {count(update.topicCount - update.topics.length)} more</span>
          )}
        </Fact>
        <Fact whole name="Id">
          <code class="block">{update.id}</code>
        </Fact>
        <Fact name="Accepted">{clock(update.at)}</Fact>
        <Fact name="Position">{count(update.p)}</Fact>
        <Fact name="Size">{size(update.bytes)}</Fact>
        <Fact name="Type">{update.type ?? 'none'}</Fact>
        <Fact whole name={update.private ? 'Data, private' : 'Data'}>
          <Data update={update} />
        </Fact>
      </dl>
      <WhoGets update={update} />
      <footer>
        <Copy text={curlPublish(address, update.topics, '…', update.private)} label="Copy as curl" />
        <Copy text={update.id} label="Copy id" />
      </footer>
    </aside>
  )
}

function Data({ update }: { update: ShownUpdate }) {
  if (update.data === null)
    return (
      <span class="veil">
        <Lock /> This console may not show this data (<code>admin.payloads</code>).
      </span>
    )
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard. */}
      <pre tabIndex={0}>{pretty(update.data)}</pre>
      {update.truncated && <span class="quiet">There is more: the beginning is shown.</span>}
    </>
  )
}

/** Asks who would get such an update now. */
function WhoGets({ update }: { update: ShownUpdate }) {
  const said = useSignal<{ readonly p: number; readonly text: string } | null>(null)
  const ask = () => {
    const say = (text: string) => {
      said.value = { p: update.p, text }
    }
    const asked = { topics: update.topics, private: update.private }
    post<Audience>('/api/deliveries', asked).then(
      (answer) => say(audienceText(answer)),
      (error: Error) => say(error.message),
    )
  }
  return (
    <div class="row">
      <button type="button" onClick={ask}>
        Who gets this?
      </button>
      <span role="status">{said.value?.p === update.p ? said.value.text : ''}</span>
    </div>
  )
}

/** An audience in a sentence. */
export function audienceText({ matching, permitted, refused }: Audience): string {
  if (matching === 0) return 'Nobody asks for it now.'
  const readers = `${count(matching)} ${matching === 1 ? 'reader asks' : 'readers ask'} for it now`
  if (matching === permitted) return `${readers}, and may read it.`
  const why = refused[0] === undefined ? '' : ` For example ${refused[0].matcher}: ${refused[0].why}.`
  return `${readers}; ${count(permitted)} may read it.${why}`
}

/** Data as JSON with indents. Large data stays as it is: to make it pretty would hold the tab. */
function pretty(data: string): string {
  if (data.length > 65_536) return data.slice(0, 65_536)
  try {
    return JSON.stringify(JSON.parse(data), null, 2)
  } catch {
    return data
  }
}
