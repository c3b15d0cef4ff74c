import { PLACE_OVERHEAD } from '../entry.ts'
import { PRELUDE } from './prelude.ts'

/** A script of the log: the server knows it by its digest once it has run. */
export interface Script {
  readonly text: string
  readonly digest: string
}

/** The keys of the log, in the order in which the scripts take them. The rows of a node are in `subs:` and its name. */
export const KEY_NAMES = [
  ...['meta', 'order', 'data', 'ids', 'dups', 'places', 'ruled', 'groups', 'sums'],
  ...['tail', 'tails', 'writers', 'nodes', 'forks'],
] as const

const prelude = PRELUDE.replaceAll('__PLACE__', String(PLACE_OVERHEAD))

/**
 * A script with the prelude before it. While the server has no memory left it runs only those that need none: it refuses
 * any other before its first line, so that no script ends half-way.
 */
export function script(body: string, needsMemory = false): Script {
  const text = `#!lua${needsMemory ? '' : ' flags=allow-oom'}\n${prelude}${body}`
  return { text, digest: new Bun.CryptoHasher('sha1').update(text).digest('hex') }
}
