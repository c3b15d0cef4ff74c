import { fetchEventSource } from '@microsoft/fetch-event-source'
import { EventSourcePolyfill } from 'event-source-polyfill'
import ReconnectingEventSource from 'reconnecting-eventsource'
import type { SeenUpdate } from './scene.ts'

/** The script of a page that subscribes with the browser clients of npm. Tests call it through `page.evaluate`. */

export interface ClientPage {
  /** What the client of this page has dispatched. */
  readonly received: SeenUpdate[]
  /** How often it said that its connection is open. */
  opened: number
  /** What became of `fetchEventSource`. */
  ended: 'resolved' | 'rejected' | null
  polyfill(url: string, token: string, options: PolyfillOptions): void
  /** With `comesBack` the handler of a clean end throws, as its documentation says. */
  fetchEventSource(url: string, token: string, options: { comesBack: boolean }): void
  /** With `renames` the class of the inner EventSource spells the cursor as this protocol does. */
  reconnecting(url: string, options: { renames: boolean }): void
}

/** What a page tells the polyfill. */
export interface PolyfillOptions {
  /** How it is to spell the cursor. */
  readonly parameter?: string
  readonly heartbeatTimeout?: number
}

declare global {
  var clientPage: ClientPage
}

/** The cursor of this protocol, where the library spells it otherwise and offers no option. */
class RenamingEventSource extends EventSource {
  constructor(url: string | URL, options?: EventSourceInit) {
    const renamed = new URL(url)
    const cursor = renamed.searchParams.get('lastEventId')
    if (cursor !== null) renamed.searchParams.set('last_event_id', cursor)
    renamed.searchParams.delete('lastEventId')
    super(renamed, options)
  }
}

function listen(source: EventSource): void {
  source.addEventListener('message', ({ data, lastEventId }: MessageEvent<string>) => {
    clientPage.received.push({ id: lastEventId, data })
  })
  source.addEventListener('open', () => {
    clientPage.opened++
  })
}

globalThis.clientPage = {
  received: [],
  opened: 0,
  ended: null,
  polyfill(url, token, { parameter, heartbeatTimeout }) {
    const headers = { Authorization: `Bearer ${token}` }
    const name = parameter === undefined ? {} : { lastEventIdQueryParameterName: parameter }
    const silence = heartbeatTimeout === undefined ? {} : { heartbeatTimeout }
    listen(new EventSourcePolyfill(url, { headers, ...name, ...silence }))
  },
  fetchEventSource(url, token, { comesBack }) {
    fetchEventSource(url, {
      headers: { Authorization: `Bearer ${token}` },
      onopen: async () => {
        clientPage.opened++
      },
      onmessage: ({ id, data }) => {
        // It also dispatches what HTML does not: a block without data, such as one with `retry` alone.
        if (id !== '') clientPage.received.push({ id, data })
      },
      onclose: () => {
        if (comesBack) throw new Error('the stream ended')
      },
    }).then(
      () => {
        clientPage.ended = 'resolved'
      },
      () => {
        clientPage.ended = 'rejected'
      },
    )
  },
  reconnecting(url, { renames }) {
    const inner = renames ? { eventSourceClass: RenamingEventSource } : {}
    listen(new ReconnectingEventSource(url, { withCredentials: true, max_retry_time: 300, ...inner }))
  },
}
