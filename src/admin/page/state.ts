import { computed, effect, signal } from '@preact/signals'
import type {
  HubView,
  SampleEvent,
  SampleName,
  SeriesView,
  ShownUpdate,
  UpdatesEvent,
} from '../console/answers.ts'
import { get, problem, stream, token } from './api.ts'

export const route = signal(routeOf())
export const hub = signal<HubView | null>(null)
export const series = signal<SeriesView | null>(null)
export const sample = signal<SampleEvent | null>(null)
export const isConnected = signal(false)
/** The filter of the live page: its feed carries updates only while somebody looks at them. */
export const filter = signal('')
export const isPaused = signal(false)
export const updates = signal<readonly ShownUpdate[]>([])
export const seen = signal({ perSecond: 0, missed: 0 })
/** The update that is being read. */
export const chosen = signal<ShownUpdate | null>(null)
const isHidden = signal(document.hidden)

function routeOf(): string {
  return /^#\/([a-z]+)/.exec(location.hash)?.[1] ?? 'overview'
}
addEventListener('hashchange', () => {
  chosen.value = null
  route.value = routeOf()
})
document.addEventListener('visibilitychange', () => {
  isHidden.value = document.hidden
})

/** A filter with the signs of a URL Pattern is one. */
export function filterType(text: string): 'text' | 'urlpattern' {
  return /[*{(]|[/.?#]:[A-Za-z_]/.test(text) ? 'urlpattern' : 'text'
}

/** While somebody reads one update the list stands still, and the hub sends nothing. */
const wantsUpdates = computed(() => route.value === 'live' && !isPaused.value && chosen.value === null)
const path = computed(() => {
  if (token.value === null || isHidden.value) return null
  if (!wantsUpdates.value) return '/api/live'
  const asked = new URLSearchParams({ updates: '', match: filter.value, type: filterType(filter.value) })
  return `/api/live?${asked}`
})

const KEPT = 1000
let pending: ShownUpdate[] = []
let counted = 0
let countedSince = performance.now()

effect(() => {
  const to = path.value
  if (to === null) return
  counted = 0
  countedSince = performance.now()
  return stream(to, receive, (isOpen) => {
    isConnected.value = isOpen
    // The page may know the hub of another start, or nothing of the time for which it was hidden.
    if (isOpen) void refresh(true)
  })
})

function receive(name: string, data: string): void {
  if (name === 'sample') sample.value = JSON.parse(data) as SampleEvent
  if (name !== 'updates') return
  const batch = JSON.parse(data) as UpdatesEvent
  counted += batch.seen
  const missed = seen.peek().missed + batch.seen - batch.items.length
  seen.value = { ...seen.peek(), missed }
  pending.push(...batch.items)
  show()
}

let isAsked = false

/** Shows what has come, once a frame at most. */
function show(): void {
  if (pending.length > KEPT) pending = pending.slice(-KEPT)
  if (isAsked) return
  isAsked = true
  requestAnimationFrame(() => {
    isAsked = false
    const now = performance.now()
    if (now - countedSince > 1000) {
      seen.value = { ...seen.peek(), perSecond: (counted / (now - countedSince)) * 1000 }
      counted = 0
      countedSince = now
    }
    updates.value = [...pending.reverse(), ...updates.peek()].slice(0, KEPT)
    pending = []
  })
}

export function clearUpdates(): void {
  updates.value = []
  pending = []
  counted = 0
  countedSince = performance.now()
  seen.value = { perSecond: 0, missed: 0 }
}

/** The hub has a sample for each ten seconds; the page goes on with what it hears. */
let sinceRing = 0
effect(() => {
  const latest = sample.value
  const ring = series.peek()
  if (latest === null || ring === null || ++sinceRing % ring.every !== 0) return
  const names = Object.keys(ring.series) as SampleName[]
  const grown = names.map((name) => [name, [...ring.series[name], latest[name]].slice(-360)] as const)
  series.value = {
    ...ring,
    until: latest.at,
    series: Object.fromEntries(grown) as unknown as SeriesView['series'],
  }
  void refresh()
})

/** Asks for what changes seldom, and for the last hour where the page does not have it or missed some of it. */
async function refresh(hasGap = false): Promise<void> {
  try {
    hub.value = await get<HubView>('/api/hub')
    if (hasGap || series.peek() === null) series.value = await get<SeriesView>('/api/series')
  } catch (error) {
    if (token.peek() !== null && error instanceof Error) problem.value = error.message
  }
}

effect(() => {
  if (token.value === null) {
    hub.value = null
    series.value = null
    sample.value = null
    isConnected.value = false
    updates.value = []
    return
  }
  void refresh()
})
