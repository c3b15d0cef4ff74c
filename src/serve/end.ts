import { openLibc } from './libc.ts'

/**
 * Ends the process now. `process.exit` of Bun 1.4.5 first closes every database and waits for the other threads: for
 * ever when one waits for a disk, and into a crash when another program has made a database file shorter.
 */
export function endNow(code: number): never {
  try {
    openLibc()._exit(code)
  } catch {
    // Where the C library cannot be called, the kernel ends the process, with its own code.
  }
  process.kill(process.pid, 'SIGKILL')
  throw new Error('the process has ended')
}
