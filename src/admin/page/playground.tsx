import { signal, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { Explanation, MintedToken, RoleExplanation } from '../console/answers.ts'
import { ask, post, readEvents } from './api.ts'
import { audienceText } from './feed.tsx'
import { Card, Copy, Mark, Trouble } from './parts.tsx'
import { type Language, languages, type Publication, pairsOf, snippet } from './snippets.ts'
import { filterType, hub } from './state.ts'

/** Texts that somebody has typed stay while other pages are looked at. Nothing of them is stored. */
const token = signal('')
const topics = signal('https://example.com/books/1')
const data = signal('{"status":"packed"}')
const isPrivate = signal(false)
const type = signal('')
const id = signal('')
const language = signal<Language>('curl')
const reading = signal('https://example.com/books/:id')
const after = signal('')

const linesOf = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')

function publication(): Publication {
  return {
    address: hub.value?.address ?? '',
    topics: linesOf(topics.value),
    data: data.value,
    isPrivate: isPrivate.value,
    type: type.value.trim(),
    id: id.value.trim(),
  }
}

export function PlaygroundPage() {
  return (
    <div class="pair play">
      <div class="column">
        <TokenCard />
        <PublishCard />
      </div>
      <div class="column">
        <SubscribeCard />
        <CodeCard />
      </div>
    </div>
  )
}

function TokenCard() {
  const explained = useSignal<Explanation | null>(null)
  const problem = useSignal<string | null>(null)
  const attempt = async (run: () => Promise<void>) => {
    problem.value = null
    try {
      await run()
    } catch (error) {
      problem.value = error instanceof Error ? error.message : 'It did not work.'
    }
  }
  const explain = () =>
    attempt(async () => {
      explained.value = await post<Explanation>('/api/explain', { token: token.value.trim() })
    })
  const make = (rights: readonly string[]) =>
    attempt(async () => {
      const everything = (right: string) => (rights.includes(right) ? ['*'] : [])
      const asked = { publish: everything('publish'), subscribe: everything('subscribe'), ttl: 3600 }
      token.value = (await post<MintedToken>('/api/mint', asked)).token
      await explain()
    })
  const aside = <Make onMake={(rights) => void make(rights)} />
  return (
    <Card title="Token" aside={aside}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void explain()
        }}
      >
        <label class="field">
          <span>The token to show to the hub; empty: none</span>
          <textarea
            rows={3}
            class="mono"
            spellcheck={false}
            autocomplete="off"
            value={token.value}
            onInput={(event) => {
              token.value = event.currentTarget.value
              explained.value = null
            }}
          />
        </label>
        <div class="row">
          <button type="submit">Explain</button>
          <span class="quiet">It stays in this tab; the hub checks it and keeps nothing.</span>
        </div>
      </form>
      <Trouble text={problem.value} />
      <div role="status">
        {explained.value?.roles.map((role) => (
          <Findings key={role.role} role={role} />
        ))}
      </div>
    </Card>
  )
}

/** One token may publish and subscribe where both roles have the same key, else there is one for each. */
function Make({ onMake }: { onMake: (rights: readonly string[]) => void }) {
  const may = hub.value?.may
  if (may?.mint !== true) return null
  const { publish, subscribe, both } = may.mints
  const choices: (readonly [label: string, rights: readonly string[]])[] = both
    ? [['Make one for an hour', ['publish', 'subscribe']]]
    : [
        ...(publish ? ([['Make a publisher’s', ['publish']]] as const) : []),
        ...(subscribe ? ([['Make a subscriber’s', ['subscribe']]] as const) : []),
      ]
  return (
    <div class="row makes">
      {choices.map(([label, rights]) => (
        <button key={label} type="button" class="small" onClick={() => onMake(rights)}>
          {label}
        </button>
      ))}
    </div>
  )
}

function Findings({ role: { role, accepted, findings, grants } }: { role: RoleExplanation }) {
  return (
    <div class="findings">
      <p>
        <Mark level={accepted ? 'good' : 'bad'} />
        <b>
          {role === 'publisher' ? 'To publish' : 'To subscribe'}: {accepted ? 'accepted' : 'refused'}
        </b>
      </p>
      <details open={!accepted}>
        <summary>{findings.length} checks</summary>
        <ul>
          {findings.map(({ check, ok, detail }) => (
            <li key={check} class={ok ? '' : 'bad'}>
              <Mark level={ok ? 'good' : 'bad'} />
              <span>{check === 'authorization_details' ? 'details' : check}</span>
              <span>
                {!ok && <span class="hidden">Not accepted: </span>}
                {detail}
              </span>
            </li>
          ))}
        </ul>
      </details>
      <p class="grants">
        <span class="quiet">Grants {grants.length === 0 ? 'nothing' : ''}</span>
        {grants.map((grant) => (
          <code key={grant}>{grant}</code>
        ))}
      </p>
    </div>
  )
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly ms: number
}

function PublishCard() {
  const answer = useSignal<Answer | null>(null)
  const audience = useSignal<string | null>(null)
  const problem = useSignal<string | null>(null)
  const attempt = async (run: () => Promise<void>) => {
    problem.value = null
    answer.value = null
    audience.value = null
    try {
      await run()
    } catch (error) {
      problem.value = error instanceof Error ? error.message : 'It did not work.'
    }
  }
  const publish = () =>
    attempt(async () => {
      const start = performance.now()
      const response = await ask({ method: 'POST', token: token.value.trim(), form: pairsOf(publication()) })
      const text = await response.text()
      answer.value = { status: response.status, text, ms: performance.now() - start }
    })
  const findAudience = () =>
    attempt(async () => {
      const { topics, isPrivate } = publication()
      audience.value = audienceText(await post('/api/deliveries', { topics, private: isPrivate }))
    })
  return (
    <Card title="Publish">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void publish()
        }}
      >
        <PublishFields />
        <div class="row end">
          <button type="button" onClick={() => void findAudience()}>
            Who would get it?
          </button>
          <button type="submit" class="primary" disabled={hub.value?.may.act !== true}>
            Publish
          </button>
        </div>
      </form>
      <Trouble text={problem.value} />
      <div role="status">
        {audience.value !== null && <p class="answer">{audience.value}</p>}
        {answer.value !== null && <AnswerLine answer={answer.value} />}
      </div>
    </Card>
  )
}

function AnswerLine({ answer: { status, text, ms } }: { answer: Answer }) {
  return (
    <p class="answer">
      <Mark level={status === 200 ? 'good' : 'bad'} />
      <span>
        <b>{status}</b> {status === 200 ? 'stored as ' : ''}
        <code class="wrap">{text.slice(0, 500)}</code>
      </span>
      <span class="quiet">{Math.round(ms)} ms</span>
    </p>
  )
}

function PublishFields() {
  return (
    <>
      <label class="field">
        <span>Topics, one a line; the first is the canonical one</span>
        <textarea
          rows={2}
          class="mono"
          spellcheck={false}
          value={topics.value}
          onInput={(event) => {
            topics.value = event.currentTarget.value
          }}
        />
      </label>
      <label class="field">
        <span>Data</span>
        <textarea
          rows={4}
          class="mono"
          spellcheck={false}
          value={data.value}
          onInput={(event) => {
            data.value = event.currentTarget.value
          }}
        />
      </label>
      <div class="row">
        <label class="check">
          <input
            type="checkbox"
            checked={isPrivate.value}
            onChange={(event) => {
              isPrivate.value = event.currentTarget.checked
            }}
          />
          <span>Private</span>
        </label>
        <label class="inline">
          <span>Type</span>
          <input
            size={10}
            placeholder="none"
            value={type.value}
            onInput={(event) => {
              type.value = event.currentTarget.value
            }}
          />
        </label>
        <label class="inline">
          <span>Id</span>
          <input
            size={14}
            placeholder="made by the hub"
            value={id.value}
            onInput={(event) => {
              id.value = event.currentTarget.value
            }}
          />
        </label>
      </div>
    </>
  )
}

interface Line {
  readonly key: number
  readonly id: string
  readonly text: string
}

const LINES = 200

/** A stream of the hub as a client would have it. It ends when the page is left. */
function SubscribeCard() {
  const lines = useSignal<readonly Line[]>([])
  const state = useSignal<'closed' | 'open' | { readonly status: number }>('closed')
  const abort = useRef<AbortController | null>(null)
  const add = (id: string, text: string) => {
    lines.value = [...lines.peek(), { key: (lines.peek().at(-1)?.key ?? 0) + 1, id, text }].slice(-LINES)
  }
  const stop = () => {
    abort.current?.abort()
    abort.current = null
    if (state.peek() === 'open') state.value = 'closed'
  }
  useEffect(() => stop, [])
  const start = async () => {
    stop()
    const own = new AbortController()
    abort.current = own
    lines.value = []
    const matchers = linesOf(reading.value).map((line) => {
      const name = filterType(line) === 'urlpattern' && line !== '*' ? 'match_urlpattern' : 'match'
      return [name, line]
    })
    const query = after.value === '' ? matchers : [...matchers, ['last_event_id', after.value]]
    try {
      const response = await ask({ method: 'GET', token: token.value.trim(), query }, own.signal)
      if (response.status !== 200 || response.body === null) {
        state.value = { status: response.status }
        add('', await response.text())
        return
      }
      state.value = 'open'
      await readEvents(response.body, (name, text, id) => {
        if (name === 'comment') add('', 'a heartbeat')
        else add(id, name === 'message' ? text : `${name}: ${text}`)
      })
      add('', 'The hub has ended the stream.')
      state.value = 'closed'
    } catch (error) {
      if (own.signal.aborted) return
      state.value = 'closed'
      add('', error instanceof Error ? error.message : 'It did not work.')
    }
  }
  const isOpen = state.value === 'open'
  return (
    <Card title="Subscribe" aside={<StreamState state={state.value} />}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (isOpen) stop()
          else void start()
        }}
      >
        <label class="field">
          <span>Topics or URL Patterns, one a line</span>
          <textarea
            rows={2}
            class="mono"
            spellcheck={false}
            value={reading.value}
            onInput={(event) => {
              reading.value = event.currentTarget.value
            }}
          />
        </label>
        <div class="row">
          <label class="inline">
            <span>After the id</span>
            <input
              size={14}
              placeholder="now, or earliest"
              value={after.value}
              onInput={(event) => {
                after.value = event.currentTarget.value.trim()
              }}
            />
          </label>
          <button type="submit">{isOpen ? 'Stop' : 'Subscribe'}</button>
        </div>
      </form>
      {lines.value.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard.
        <div class="stream" role="log" aria-label="Events of this stream" tabIndex={0}>
          {lines.value.map((line) => (
            <p key={line.key}>
              {line.id !== '' && <span class="quiet mono tiny">{line.id}</span>}
              {line.id === '' ? (
                <span class="quiet">{line.text}</span>
              ) : (
                <code class="block">{line.text}</code>
              )}
            </p>
          ))}
        </div>
      )}
    </Card>
  )
}

function StreamState({ state }: { state: 'closed' | 'open' | { readonly status: number } }) {
  if (state === 'closed') return <span class="quiet">closed</span>
  if (state === 'open')
    return (
      <span class="quiet">
        <Mark level="good" /> open
      </span>
    )
  return (
    <span>
      <Mark level="bad" /> refused: {state.status}
    </span>
  )
}

function CodeCard() {
  const code = snippet(language.value, publication())
  const tabs = useRef<HTMLDivElement>(null)
  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const at = (languages.indexOf(language.value) + step + languages.length) % languages.length
    language.value = languages[at] ?? 'curl'
    tabs.current?.querySelectorAll('button')[at]?.focus()
  }
  return (
    <Card title="The same in your code" aside={<Copy text={code} />}>
      <div class="tabs" role="tablist" aria-label="Language" ref={tabs} onKeyDown={move}>
        {languages.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={language.value === name}
            aria-controls="code"
            tabIndex={language.value === name ? 0 : -1}
            onClick={() => {
              language.value = name
            }}
          >
            {name}
          </button>
        ))}
      </div>
      <div id="code" role="tabpanel" aria-labelledby={`tab-${language.value}`}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard. */}
        <pre tabIndex={0}>{code}</pre>
      </div>
    </Card>
  )
}
