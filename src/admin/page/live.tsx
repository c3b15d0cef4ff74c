import { Feed } from './feed.tsx'
import { count } from './format.ts'
import { Card, Empty } from './parts.tsx'
import { chosen, clearUpdates, filter, isPaused, seen, updates } from './state.ts'

/** The rows that are drawn. The rest is in memory and comes with the filter. */
const ROWS = 100

export function Live() {
  const shown = updates.value.slice(0, ROWS)
  return (
    <>
      <form class="toolbar" onSubmit={(event) => event.preventDefault()}>
        <label class="grow">
          <span class="hidden">Only updates with a topic that matches</span>
          <input
            type="search"
            placeholder="Filter: a part of a topic, or a URL Pattern such as https://shop.example/orders/:id"
            value={filter.value}
            onChange={(event) => {
              clearUpdates()
              filter.value = event.currentTarget.value.trim()
            }}
          />
        </label>
        <button
          type="button"
          aria-pressed={isPaused.value}
          onClick={() => {
            isPaused.value = !isPaused.value
          }}
        >
          Pause
        </button>
        <button type="button" onClick={clearUpdates}>
          Clear
        </button>
      </form>
      <p class="quiet rate">{stateText()}</p>
      <Card class="flush">
        {shown.length === 0 ? (
          <Empty title="Waiting for the next update.">Updates appear here as they are stored.</Empty>
        ) : (
          <Feed rows={shown} name="Updates, the newest first" />
        )}
      </Card>
    </>
  )
}

function stateText(): string {
  if (chosen.value !== null) return 'Held while you read. Close the update to go on.'
  if (isPaused.value) return 'Paused. The hub sends nothing meanwhile.'
  const { perSecond, missed } = seen.value
  const sampled = missed > 0 ? '; a fair sample of 100 per second is shown' : ''
  return `${count(perSecond)} updates per second${sampled}.`
}
