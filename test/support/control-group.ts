import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { until } from './binary.ts'

/** A control group of Linux in which a hub has so much memory and no more: what a container is to it. */
export interface ControlGroup {
  /** What a command is to be started with to run in it. */
  readonly prefix: readonly string[]
  /** Removes the group, once nothing runs in it. */
  dispose(): Promise<void>
}

/** Makes a group with so many bytes of memory, or answers why none can be made here. */
export function openControlGroup(bytes: number): ControlGroup | string {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  const reasons: string[] = []
  for (const [pattern, limit] of hierarchies) {
    const mountPoint = mounts.find((line) => pattern.test(line))?.split(' ')[4]
    if (mountPoint === undefined) continue
    const path = `${mountPoint}/cinnabar-test-${process.pid}-${++number}`
    try {
      mkdirSync(path)
      try {
        if (!existsSync(`${path}/${limit}`)) throw new Error(`${mountPoint} limits no memory`)
        writeFileSync(`${path}/${limit}`, String(bytes))
        return groupAt(path)
      } catch (error) {
        rmdirSync(path)
        throw error
      }
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error))
    }
  }
  return reasons.join('; ') || 'no control groups are mounted'
}

/** Version 1, then version 2, by their lines of mountinfo, with the file of the limit. */
const hierarchies: readonly (readonly [pattern: RegExp, limit: string])[] = [
  [/ - cgroup \S+ (\S+,)?memory(,|$)/, 'memory.limit_in_bytes'],
  [/ - cgroup2 /, 'memory.max'],
]

let number = 0

function groupAt(path: string): ControlGroup {
  return {
    prefix: ['sh', '-c', `echo $$ >${path}/cgroup.procs && exec "$@"`, 'sh'],
    dispose: async () => {
      // The kernel lets go of a process a moment after its end is known.
      await until('an empty group', () => {
        try {
          rmdirSync(path)
          return true
        } catch {
          return false
        }
      })
    },
  }
}
