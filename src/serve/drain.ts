import type { Hub } from '../hub/hub.ts'

/**
 * Ends the streams of a hub that accepts nothing any more, once they have what was accepted: publishers were told so.
 * Spread so that the readers do not all come back at once; a few need no spreading.
 */
export async function drain(hub: Hub, drainMs: number): Promise<void> {
  await hub.settled()
  const subscribers = hub.subscribers
  const wholeMs = Math.min(drainMs, subscribers.length * APART_MS)
  const start = performance.now()
  for (let ended = 0; ended < subscribers.length; ) {
    const share = wholeMs === 0 ? 1 : (performance.now() - start) / wholeMs
    const due = Math.min(subscribers.length, Math.ceil(share * subscribers.length))
    for (const subscriber of subscribers.slice(ended, due)) hub.end(subscriber, { kind: 'shutdown' })
    ended = due
    if (ended < subscribers.length) await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** How far the ends of two streams are apart at most, in milliseconds. */
const APART_MS = 3
