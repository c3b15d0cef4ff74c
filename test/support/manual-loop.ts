import type { Loop } from '../../src/hub/loop.ts'
import { Log } from '../../src/telemetry/log.ts'

/** A loop whose time the test owns. */
export class ManualLoop implements Loop {
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>()
  #now = 0

  now(): number {
    return this.#now
  }

  later(run: () => void): void {
    this.delay(0, run)
  }

  delay(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Lets the time pass, and runs what is due at its end. */
  pass(ms: number): void {
    this.#now += ms
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#now) continue
      this.#timers.delete(timer)
      timer.run()
    }
  }
}

/** A log, and the messages that were written to it. */
export function loggedLines(): { log: Log; messages: () => readonly string[] } {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const log = new Log({ write, format: 'json', level: 'info', clock: () => new Date(0) })
  return { log, messages: () => lines.map((line) => String(JSON.parse(line).message)) }
}
