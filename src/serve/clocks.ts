import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import type { Clocks } from '../transport/log-clock.ts'

/** The clocks of this machine. */
export function machineClocks(): Clocks {
  return {
    wall: Date.now,
    monotonic: () => performance.now(),
    uptime: () => uptime() * 1000,
    boot: bootId(),
  }
}

/** The id of this boot; null elsewhere than on Linux, and in a container that does not show it. */
function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return null
  }
}
