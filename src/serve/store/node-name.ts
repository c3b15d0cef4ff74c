import { hostname } from 'node:os'
import type { Settings } from '../../config/load.ts'

/** The name of this node in the log of several. */
export function nodeName({ redis }: Settings): string {
  return redis.node ?? hostname()
}
