import type { Hub } from '../hub/hub.ts'

/**
 * Ends the streams of a hub that accepts nothing any more, once they have all accepted updates, and after `drainMs` at
 * the latest. Spreads the ends so that the readers do not all come back at once; a few need no spreading.
 */
export async function drain(hub: Hub, drainMs: number): Promise<void> {
  const until = performance.now() + drainMs
  await within(drainMs, hub.settled())
  const subscribers = hub.subscribers
  const start = performance.now()
  const wholeMs = Math.max(0, Math.min(until - start, subscribers.length * APART_MS))
  for (let ended = 0; ended < subscribers.length; ) {
    const share = wholeMs === 0 ? 1 : (performance.now() - start) / wholeMs
    const due = Math.min(subscribers.length, Math.ceil(share * subscribers.length))
    for (const subscriber of subscribers.slice(ended, due)) hub.end(subscriber, { kind: 'shutdown' })
    ended = due
    if (ended < subscribers.length) await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Waits for the promise, but no longer than `ms` milliseconds. Answers whether it was resolved; rejects as it does. */
export async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), ms)
  return await Promise.race([promise.then(() => true), late]).finally(() => clearTimeout(timer))
}

/** The longest time between the ends of one stream and the next, in milliseconds. */
const APART_MS = 3
