import { expect } from 'bun:test'
import type { RunningHub } from './binary.ts'

/** The longest that a health check had to wait while the work was under way, in milliseconds. */
export async function longestWait(hub: RunningHub, work: Promise<unknown>): Promise<number> {
  let isOver = false
  const over = () => {
    isOver = true
  }
  work.then(over, over)
  let longest = 0
  while (!isOver) {
    const start = performance.now()
    expect((await fetch(`${hub.origin}/healthz`)).status).toBe(200)
    longest = Math.max(longest, performance.now() - start)
  }
  await work
  return longest
}
