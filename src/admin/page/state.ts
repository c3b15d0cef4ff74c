import { computed, effect, signal } from '@preact/signals'
import { get, problem, stream, token } from './api.ts'

/** The figures of a sample. */
export type Name =
  | ('subscribers' | 'replaying' | 'published' | 'failed' | 'delivered' | 'replayed')
  | ('publishP50' | 'publishP99' | 'deliveryP50' | 'deliveryP99' | 'resident' | 'waiting' | 'pending')
  | ('rows' | 'bytes' | 'oldestAge' | 'fileBytes' | 'lag' | 'shedding' | 'slow' | 'refused')

export type Sample = Readonly<Record<Name, number>> & { readonly at: number }

/** The answer of `/api/hub`. */
export interface Hub {
  readonly version: string
  readonly commit: string
  readonly startedAt: number
  readonly address: string
  readonly transport: 'sqlite' | 'memory' | 'local' | 'redis'
  readonly node: string
  readonly may: {
    readonly act: boolean
    readonly mint: boolean
    /** The rights of tokens that the hub can make; `both` in one. */
    readonly mints: { readonly publish: boolean; readonly subscribe: boolean; readonly both: boolean }
    readonly prune: boolean
    readonly payloads: string
  }
  readonly limits: {
    readonly memory: number
    readonly subscribers: number
    readonly subscriberBuffer: number
    readonly body: number
    readonly bodies: number
    readonly patternWeight: number
    readonly maxCount: number | null
    readonly maxAge: number | null
    readonly maxBytes: number | null
  }
  readonly nodes: readonly Node[]
  readonly notices: readonly Notice[]
  readonly warnings: number
}

export interface Node {
  readonly id: string
  readonly self: boolean
  readonly subscribers: number
  readonly published: number
  readonly head: number
  readonly seen: number
}

export interface Notice {
  readonly at: number
  readonly level: 'info' | 'warn' | 'bad'
  readonly text: string
}

/** An update, as lists and the inspector show it. */
export interface Update {
  readonly p: number
  readonly id: string
  readonly at: number
  readonly topics: readonly string[]
  readonly topicCount: number
  readonly type: string | null
  readonly private: boolean
  readonly bytes: number
  readonly data: string | null
  readonly truncated: boolean
}

export interface Series {
  readonly every: number
  readonly until: number
  readonly series: Readonly<Record<Name, readonly number[]>>
}

export const route = signal(routeOf())
export const hub = signal<Hub | null>(null)
export const series = signal<Series | null>(null)
export const sample = signal<Sample | null>(null)
export const isConnected = signal(false)
/** The filter of the live page: its feed carries updates only while somebody looks at them. */
export const filter = signal('')
export const isPaused = signal(false)
export const updates = signal<readonly Update[]>([])
export const seen = signal({ perSecond: 0, missed: 0 })
/** The update that is being read. */
export const chosen = signal<Update | null>(null)
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
let pending: Update[] = []
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
  if (name === 'sample') sample.value = JSON.parse(data) as Sample
  if (name !== 'updates') return
  const batch = JSON.parse(data) as { seen: number; items: Update[] }
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
  const names = Object.keys(ring.series) as Name[]
  const grown = names.map((name) => [name, [...ring.series[name], latest[name]].slice(-360)] as const)
  series.value = {
    ...ring,
    until: latest.at,
    series: Object.fromEntries(grown) as unknown as Series['series'],
  }
  void refresh()
})

/** Asks for what changes seldom, and for the last hour where the page does not have it or missed some of it. */
async function refresh(hasGap = false): Promise<void> {
  try {
    hub.value = await get<Hub>('/api/hub')
    if (hasGap || series.peek() === null) series.value = await get<Series>('/api/series')
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
