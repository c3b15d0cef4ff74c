import { readdirSync, readFileSync } from 'node:fs'

/** Descriptors: every connection takes one, and so does every file. */

/** How many this process may have open, or null where the system does not tell or does not limit them. */
export function descriptorLimit(): number | null {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    const most = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
    return most === undefined ? null : Number(most)
  } catch {
    return null
  }
}

/** How many it has open now; zero where the system does not tell. */
export function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return 0
  }
}

/**
 * How many streams fit, `open` being taken already: the rest is for publishers, for health checks and for connections that are about to be
 * refused. At the limit nobody could be let in, not even to be refused, and the runtime (Bun 1.4.5) would spin.
 */
export function streamsThatFit(limit: number | null, open: number): number {
  if (limit === null) return Number.POSITIVE_INFINITY
  const spare = Math.max(SPARE_MIN, Math.min(SPARE_MAX, Math.ceil(limit / 8)))
  return Math.max(1, limit - open - spare)
}

const SPARE_MIN = 20
const SPARE_MAX = 2000

/** A line for the operator when the limit on streams cannot be reached, or null. */
export function descriptorWarning(subscribers: number, fit: number): string | null {
  if (subscribers <= fit) return null
  return `limits.subscribers: this process may open so few files that only ${fit} of ${subscribers} connections fit; raise its limit (ulimit -n, LimitNOFILE=)`
}
