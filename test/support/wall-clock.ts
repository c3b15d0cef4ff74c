import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The wall clock of a process that is started with `env`: it can be set while the process runs. */
export class WallClock {
  readonly #folder = mkdtempSync(join(tmpdir(), 'cinnabar-clock-'))
  readonly #file = join(this.#folder, 'offset')
  readonly #library = join(this.#folder, 'wall-clock.so')

  /** Whether this machine can make one. */
  static readonly isPossible = process.platform === 'linux' && Bun.which('cc') !== null

  constructor(ms = 0) {
    writeFileSync(this.#file, new Uint8Array(8))
    this.setBy(ms)
    const source = new URL('wall-clock.c', import.meta.url).pathname
    const made = Bun.spawnSync(['cc', '-shared', '-fPIC', '-O1', '-o', this.#library, source, '-ldl'])
    if (!made.success) throw new Error(made.stderr.toString())
  }

  get env(): Readonly<Record<string, string>> {
    return { LD_PRELOAD: this.#library, WALL_CLOCK_OFFSET: this.#file }
  }

  /** It is so many milliseconds, in whole seconds, ahead of the true time from now on. */
  setBy(ms: number): void {
    const file = openSync(this.#file, 'r+')
    writeSync(file, new Uint8Array(BigInt64Array.of(BigInt(ms)).buffer), 0, 8, 0)
    closeSync(file)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true })
  }
}
