import { readFileSync } from 'node:fs'
import { UsageError } from '../../command/command.ts'
import { reasonOf } from '../../command/failure.ts'

/** Processes of this machine. Throws a `UsageError` when one of them cannot be looked at. */
export function localProcess(...pids: readonly (string | number)[]): LocalProcess {
  return new LocalProcess(pids.map(String), (path) => readFileSync(path, 'utf8'))
}

/** The processes of a local hub, as the kernel sees them. */
export class LocalProcess {
  readonly #pids: readonly string[]
  readonly #readFile: (path: string) => string

  /** Throws a `UsageError` when one of them cannot be looked at. */
  constructor(pids: readonly string[], readFile: (path: string) => string) {
    this.#pids = pids
    this.#readFile = readFile
    try {
      this.cpuUs()
    } catch (error) {
      throw new UsageError(`--pid cannot be looked at: ${reasonOf(error)}`)
    }
  }

  /** Processor time in user and kernel mode of all threads, in microseconds, to 10 ms. */
  cpuUs(): number {
    return this.#sum((pid) => {
      const stat = this.#readFile(`/proc/${pid}/stat`)
      // The name of the program, in parentheses, may hold spaces: the fields are counted from its end.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return (Number(fields[11]) + Number(fields[12])) * TICK_US
    })
  }

  /** Resident memory in bytes: `VmRSS`. */
  residentBytes(): number {
    return this.#sum((pid) => memoryOf(this.#readFile(`/proc/${pid}/status`)).residentBytes)
  }

  #sum(of: (pid: string) => number): number {
    return this.#pids.reduce((sum, pid) => sum + of(pid), 0)
  }
}

/** Memory of a process in bytes. */
export interface ProcessMemory {
  readonly residentBytes: number
  /** Resident memory that belongs to no file: what the program made for itself, without its code. */
  readonly anonymousBytes: number
}

/** Null where the kernel does not tell, or when the process is gone. */
export function processMemory(pid: string, readFile: (path: string) => string): ProcessMemory | null {
  try {
    const memory = memoryOf(readFile(`/proc/${pid}/status`))
    return memory.residentBytes === 0 ? null : memory
  } catch {
    return null
  }
}

function memoryOf(status: string): ProcessMemory {
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024
  return { residentBytes: bytes('VmRSS'), anonymousBytes: bytes('RssAnon') }
}

/** Linux reports processor time in hundredths of a second; the kernel may count in others. */
const TICK_US = 10_000
