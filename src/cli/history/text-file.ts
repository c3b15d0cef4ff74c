import { closeSync, existsSync, openSync, writeSync } from 'node:fs'
import { HistoryProblem, type Pause } from '../../history/file.ts'

/**
 * Takes the lines of a tool: a file that it makes, or the standard output, to which it writes directly:
 * `process.stdout` keeps in memory what a slow reader has not taken, and loses it when the process ends
 * with an exit code (Bun 1.4.5).
 */
export class TextFile {
  readonly #path: string | null
  #descriptor: number | null = null

  /** Null is the standard output. */
  constructor(path: string | null) {
    this.#path = path
  }

  /**
   * Resolves when all of the text is written. The first call makes the file: one that is there is never replaced, and
   * only its owner may read the new one, because it may hold private updates. Rejects with HistoryProblem.
   */
  async write(text: string, pause: Pause): Promise<void> {
    this.#descriptor ??= this.#trying(() => this.#open())
    const descriptor = this.#descriptor
    const bytes = Buffer.from(text)
    for (let offset = 0; offset < bytes.length; ) {
      const written = this.#trying(() => writeSync(descriptor, bytes, offset))
      offset += written
      if (written === 0) await pause()
    }
  }

  close(): void {
    if (this.#path !== null && this.#descriptor !== null) closeSync(this.#descriptor)
    this.#descriptor = null
  }

  #open(): number {
    return this.#path === null ? STANDARD_OUTPUT : openSync(this.#path, 'wx', 0o600)
  }

  #trying(step: () => number): number {
    try {
      return step()
    } catch (cause) {
      const code = codeOf(cause)
      // A pipe that does not block is full.
      if (code === 'EAGAIN') return 0
      throw new HistoryProblem(`${this.#path ?? 'the standard output'} cannot be written: ${code}`, { cause })
    }
  }
}

/** The lines of a file with their line breaks off; the last one may be without. Throws HistoryProblem. */
export async function* linesOf(path: string): AsyncGenerator<string> {
  if (!existsSync(path)) throw new HistoryProblem(`there is no file ${path}`)
  let partial = ''
  for await (const text of textsOf(path)) {
    const lines = (partial + text).split('\n')
    partial = lines.pop() ?? ''
    yield* lines
  }
  if (partial !== '') yield partial
}

async function* textsOf(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const chunks = Bun.file(path).stream()[Symbol.asyncIterator]()
  for (;;) {
    let text: string
    try {
      const { done, value } = await chunks.next()
      text = done === true ? decoder.decode() : decoder.decode(value, { stream: true })
      if (done === true && text === '') return
    } catch (cause) {
      const reason = codeOf(cause)
      throw new HistoryProblem(`${path} cannot be read as UTF-8 text: ${reason}`, { cause })
    }
    yield text
  }
}

const STANDARD_OUTPUT = 1

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
