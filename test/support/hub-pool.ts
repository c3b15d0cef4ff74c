import { type RunningHub, startHub } from './binary.ts'

/** Running hubs by their flags: tests that want the same hub share one, and all end together. */
export class HubPool {
  readonly #hubs = new Map<string, Promise<RunningHub>>()
  readonly #common: readonly string[]

  /** `common`: flags of every hub. */
  constructor(common: readonly string[]) {
    this.#common = common
  }

  get(flags: readonly string[] = []): Promise<RunningHub> {
    const key = flags.join(' ')
    const known = this.#hubs.get(key)
    if (known !== undefined) return known
    const started = startHub({ flags: [...this.#common, ...flags] })
    this.#hubs.set(key, started)
    return started
  }

  async dispose(): Promise<void> {
    for (const hub of this.#hubs.values()) await (await hub).dispose()
  }
}
