import { readdirSync, readFileSync, statSync } from 'node:fs'
import { findKey } from '../../config/names.ts'

/** The descriptors of this process: every connection takes one, and so does every file. */

/** The number that this process may have open, or null where the system does not tell or does not limit it. */
export function descriptorLimit(): number | null {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    const most = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
    return most === undefined ? null : Number(most)
  } catch {
    return null
  }
}

/** The number that this process has open now; zero where the system does not tell. */
export function openDescriptors(): number {
  try {
    // Linux 6.2 and later tell the number without a list: with 20,000 descriptors a list takes 10 ms.
    return statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length
  } catch {
    return 0
  }
}

/**
 * The number of streams that may be open in all while `streams` streams and `open` descriptors are. The rest is for
 * publishers, for health checks and for connections that the hub is about to refuse: at the limit it could let nobody
 * in, not even to refuse, and the runtime (Bun 1.4.5) would spin. Streams of HTTP/2 share a connection, so there may be
 * more of them.
 */
export function streamsThatFit(limit: number | null, open: number, streams = 0): number {
  if (limit === null) return Number.POSITIVE_INFINITY
  const spare = Math.max(SPARE_MIN, Math.min(SPARE_MAX, Math.ceil(limit / 8)))
  return Math.max(1, streams + Math.max(0, limit - open - spare))
}

const CROWD = 10_000
const SPARE_MIN = 20
const SPARE_MAX = 500

/**
 * A line for the operator when the limit on streams cannot be reached, or null. The default is a bound for everybody
 * and no wish: the hub warns of it only where the process has no room for a crowd.
 */
export function descriptorWarning(subscribers: number, fit: number): string | null {
  const isWish = String(subscribers) !== findKey('limits.subscribers')?.meaning.fallback
  if (subscribers <= fit || (!isWish && fit >= CROWD)) return null
  return `limits.subscribers: this process may open so few files that only ${fit} of ${subscribers} connections fit; raise its limit (ulimit -n, LimitNOFILE=)`
}
