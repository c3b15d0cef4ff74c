import { signal } from '@preact/signals'

/** How the page speaks to the admin listener: with the token in a header, never in a cookie or a URL that is sent. */

const KEY = 'console-token'

/** The token of this tab; null: nobody has signed in. */
export const token = signal<string | null>(takeToken())

/** The problem that the person at the page has to know of, or null. */
export const problem = signal<string | null>(null)

/** `#token=…` is how a start prints it: the fragment is never sent, and is taken off the address at once. */
function takeToken(): string | null {
  const given = /[#&]token=([^&]+)/.exec(location.hash)?.[1]
  if (given !== undefined) {
    sessionStorage.setItem(KEY, decodeURIComponent(given))
    history.replaceState(null, '', '#/overview')
  }
  return sessionStorage.getItem(KEY)
}

// An address with a token may be opened in a tab that is open already.
addEventListener('hashchange', () => {
  if (!/[#&]token=/.test(location.hash)) return
  problem.value = null
  token.value = takeToken()
  dispatchEvent(new HashChangeEvent('hashchange'))
})

export function signIn(value: string): void {
  sessionStorage.setItem(KEY, value)
  problem.value = null
  token.value = value
}

export function signOut(): void {
  sessionStorage.removeItem(KEY)
  token.value = null
}

/** The hub knows the token no more, or never did. `asked`: the token that was refused. */
function refused(asked: string | null): void {
  if (asked !== token.value) return
  signOut()
  problem.value = 'The token was refused.'
}

const headersOf = (given: string | null): Record<string, string> =>
  given === null ? {} : { Authorization: `Bearer ${given}` }

/** Reads from the API. Rejects with an Error for the person at the page. */
export async function get<T>(path: string, signal: AbortSignal | null = null): Promise<T> {
  return (await answered(path, { signal })).json() as Promise<T>
}

/** Asks the API by POST. Rejects with an Error for the person at the page. */
export async function post<T>(path: string, body: unknown, signal: AbortSignal | null = null): Promise<T> {
  return (await sent(path, body, signal)).json() as Promise<T>
}

/** Lets the hub answer a request, whatever its status is. */
export function ask(body: unknown, signal: AbortSignal | null = null): Promise<Response> {
  return sent('/api/request', body, signal)
}

function sent(path: string, body: unknown, signal: AbortSignal | null): Promise<Response> {
  return answered(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  })
}

async function answered(path: string, init: RequestInit): Promise<Response> {
  const asked = token.value
  const headers = { ...headersOf(asked), ...(init.headers as Record<string, string> | undefined) }
  const response = await fetch(path, { ...init, headers, credentials: 'omit' })
  if (response.ok || response.headers.has('X-Answered-By')) return response
  if (response.status === 401) refused(asked)
  const { error } = (await response.json().catch(() => ({}))) as { error?: string }
  throw new Error(error ?? `The hub answered ${response.status}.`)
}

/** Told of an event, by its name and data. */
export type OnEvent = (name: string, data: string, id: string) => void

/**
 * An event stream over fetch, since EventSource can set no header. It comes back by itself, more slowly each time.
 * Returns a function that ends it.
 */
export function stream(path: string, onEvent: OnEvent, onState: (isOpen: boolean) => void): () => void {
  const abort = new AbortController()
  void follow(path, abort.signal, onEvent, onState)
  return () => abort.abort()
}

async function follow(
  path: string,
  signal: AbortSignal,
  onEvent: OnEvent,
  onState: (isOpen: boolean) => void,
): Promise<void> {
  const asked = token.value
  for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 15_000)) {
    try {
      const response = await fetch(path, { headers: headersOf(asked), signal, credentials: 'omit' })
      if (response.status === 401) return refused(asked)
      if (!response.ok || response.body === null) throw new Error(response.statusText)
      onState(true)
      wait = 500
      await readEvents(response.body, onEvent)
    } catch {
      if (signal.aborted) return
    }
    if (signal.aborted) return
    onState(false)
    await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)))
  }
}

/** Reads the events of a body until it ends. Comments are events with the name `comment`. */
export async function readEvents(body: ReadableStream<Uint8Array>, onEvent: OnEvent): Promise<void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  let held: string[] = []
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith(':')) onEvent('comment', line.slice(1), '')
      else if (line !== '') held.push(line)
      else {
        dispatch(held, onEvent)
        held = []
      }
    }
  }
}

function dispatch(lines: readonly string[], onEvent: OnEvent): void {
  const all = (field: string) =>
    lines.filter((line) => line.startsWith(field)).map((line) => line.slice(field.length))
  const data = all('data: ')
  if (data.length > 0) onEvent(all('event: ')[0] ?? 'message', data.join('\n'), all('id: ')[0] ?? '')
}
