import { useSignal } from '@preact/signals'
import type { PastPage, PruneOutcome } from '../console/answers.ts'
import { get, post } from './api.ts'
import { useAsked } from './asked.ts'
import { Dialog } from './dialog.tsx'
import { Feed } from './feed.tsx'
import { count, size } from './format.ts'
import { Card, Empty, Trouble } from './parts.tsx'
import { filterType, hub } from './state.ts'

export function HistoryPage() {
  const filter = useSignal('')
  const before = useSignal('')
  const isPruning = useSignal(false)
  const asked = new URLSearchParams({
    before: before.value,
    filter: filter.value,
    type: filterType(filter.value),
  })
  const { answer, problem, again } = useAsked<PastPage>(`/api/history?${asked}`, 0)
  return (
    <>
      <form class="toolbar" onSubmit={(event) => event.preventDefault()}>
        <label class="grow">
          <span class="hidden">Filter</span>
          <input
            type="search"
            placeholder="Filter: a part of a topic, a URL Pattern, or id: and an event id"
            onChange={(event) => {
              const text = event.currentTarget.value.trim()
              const isId = text.startsWith('id:')
              filter.value = isId ? '' : text
              before.value = isId ? text : ''
            }}
          />
        </label>
        <label class="select">
          <span>Before</span>
          <input
            type="datetime-local"
            onChange={(event) => {
              const at = new Date(event.currentTarget.value).getTime()
              before.value = Number.isNaN(at) ? '' : `time:${at}`
            }}
          />
        </label>
        <button type="button" onClick={again}>
          Again
        </button>
        {hub.value?.may.prune === true && (
          <button
            type="button"
            onClick={() => {
              isPruning.value = true
            }}
          >
            Prune…
          </button>
        )}
      </form>
      <Trouble text={problem} />
      {answer !== null && <Pages key={asked.toString()} first={answer} asked={asked} />}
      {isPruning.value && (
        <Prune
          onClose={() => {
            isPruning.value = false
            again()
          }}
        />
      )}
    </>
  )
}

/** A page, and those before it as far as somebody asked for them. */
function Pages({ first, asked }: { first: PastPage; asked: URLSearchParams }) {
  const more = useSignal<{ readonly of: PastPage; readonly pages: readonly PastPage[] }>({
    of: first,
    pages: [],
  })
  const problem = useSignal<string | null>(null)
  const pages = [first, ...(more.value.of === first ? more.value.pages : [])]
  const rows = pages.flatMap((page) => page.rows)
  const scanned = pages.reduce((sum, page) => sum + page.scanned, 0)
  const next = pages.at(-1)?.next ?? null
  const goOn = async () => {
    try {
      const page = await get<PastPage>(
        `/api/history?${new URLSearchParams([...asked, ['before', `${next}`]])}`,
      )
      more.value = { of: first, pages: [...pages.slice(1), page] }
    } catch (error) {
      problem.value = error instanceof Error ? error.message : 'It cannot be read.'
    }
  }
  return (
    <>
      <p class="quiet rate">
        Newest first, down from position {count(first.head)}; {count(scanned)} looked at.
      </p>
      <Trouble text={problem.value} />
      <Card class="flush">
        {rows.length === 0 ? (
          <Empty title="Nothing is kept here.">
            The limits of the history have dropped it, or it never was.
          </Empty>
        ) : (
          <Feed rows={rows} name="The past, the newest first" />
        )}
      </Card>
      {next !== null && (
        <div class="row">
          <button type="button" onClick={() => void goOn()}>
            Further back
          </button>
        </div>
      )}
    </>
  )
}

/** Asks first, with the figures of a dry run, which are of exactly what would go. */
function Prune({ onClose }: { onClose: () => void }) {
  const match = useSignal('')
  const keepCount = useSignal('')
  const keepHours = useSignal('')
  const dry = useSignal<PruneOutcome | null>(null)
  const problem = useSignal<string | null>(null)
  const numberOf = (text: string, factor: number) => (text === '' ? null : Math.round(Number(text) * factor))
  const run = async (isDryRun: boolean) => {
    problem.value = null
    const keep = { count: numberOf(keepCount.value, 1), age: numberOf(keepHours.value, 3600) }
    const type = filterType(match.value) === 'text' ? 'exact' : 'urlpattern'
    try {
      const gone = await post<PruneOutcome>('/api/prune', { keep, match: match.value, type, isDryRun })
      if (!isDryRun) onClose()
      dry.value = gone
    } catch (error) {
      problem.value = error instanceof Error ? error.message : 'It cannot be pruned.'
    }
  }
  const changed = (change: () => void) => {
    dry.value = null
    change()
  }
  return (
    <Dialog title="Prune the history" onClose={onClose}>
      <p class="quiet">What is dropped is gone. Readers that come back from before it are told so.</p>
      <label class="field">
        <span>Topic or URL Pattern; empty: all updates</span>
        <input
          class="mono"
          value={match.value}
          onInput={(event) => changed(() => (match.value = event.currentTarget.value.trim()))}
        />
      </label>
      <div class="row">
        <label class="inline">
          <span>Keep the newest</span>
          <input
            type="number"
            min={0}
            value={keepCount.value}
            onInput={(event) => changed(() => (keepCount.value = event.currentTarget.value))}
          />
        </label>
        <label class="inline">
          <span>Keep hours</span>
          <input
            type="number"
            min={0}
            step="any"
            value={keepHours.value}
            onInput={(event) => changed(() => (keepHours.value = event.currentTarget.value))}
          />
        </label>
      </div>
      <Trouble text={problem.value} />
      <p class="foot" role="status">
        {dry.value !== null && `${count(dry.value.count)} updates of ${size(dry.value.bytes)} would go.`}
      </p>
      <div class="row end">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        {dry.value === null ? (
          <button type="button" class="primary" onClick={() => void run(true)}>
            Count first
          </button>
        ) : (
          <button type="button" class="primary" onClick={() => void run(false)}>
            Drop {count(dry.value.count)} updates
          </button>
        )}
      </div>
    </Dialog>
  )
}
