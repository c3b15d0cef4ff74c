import type { Position } from '../../hub/transport.ts'
import { Connection, messageOf } from './connection.ts'
import { parseHeader, unpackEntry } from './entry.ts'
import { locatePrimary } from './primary.ts'
import { FIGURES, FIND } from './scripts/reading.ts'
import { KEY_NAMES, type Script } from './scripts/script.ts'
import { BROWSE, DROP } from './scripts/tools.ts'
import { placeText, type ServerOptions } from './server.ts'

/** An entry as a tool looks at it. */
export interface Outline {
  readonly seq: number
  /** When the log accepted it, in milliseconds since the epoch by the clock of the server. */
  readonly at: number
  readonly bytes: number
  readonly id: string
  readonly topics: readonly string[]
}

/** An entry with everything that an export holds. */
export interface StoredOnServer extends Outline {
  readonly private: boolean
  readonly frame: Uint8Array
}

/** Figures of a log on a server. */
export interface LogFigures {
  readonly rows: number
  readonly bytes: number
  readonly dropped: number
  readonly places: number
  readonly head: number
  /** Hubs that run on it. */
  readonly nodes: number
  readonly rules: readonly { readonly rule: string; readonly rows: number; readonly bytes: number }[]
}

/** A log on a server as tools see it, beside the hubs that run on it. One connection, which `close` ends. */
export class LogTool {
  /** Where the log is, without secrets. */
  readonly name: string
  readonly #connection: Connection
  readonly #keys: readonly string[]
  readonly #timeoutMs: number
  readonly #log: string
  readonly #rules: string

  private constructor(
    name: string,
    connection: Connection,
    keys: readonly string[],
    timeoutMs: number,
    log: string,
    rules: string,
  ) {
    this.name = name
    this.#connection = connection
    this.#keys = keys
    this.#timeoutMs = timeoutMs
    this.#log = log
    this.#rules = rules
  }

  /** Null: there is no log yet. Rejects with a plain Error when the server cannot be reached. */
  static async open(options: ServerOptions, prefix: string): Promise<LogTool | null> {
    const place = await locatePrimary(options)
    const name = placeText(place)
    const connection = await Connection.open(place, options).catch((error) => {
      throw new Error(`${name}: ${messageOf(error)}`, { cause: error })
    })
    try {
      const keys = KEY_NAMES.map((key) => `{${prefix}}:${key}`)
      const asked = ['HMGET', `{${prefix}}:meta`, 'log', 'rules', 'v']
      const answer = await connection.call(asked, options.timeoutMs)
      const [log, rules, version] = Array.isArray(answer) ? answer : []
      if (log === undefined || log === null) {
        connection.destroy()
        return null
      }
      if (String(version) !== '1') throw new Error(`${name}: the log is of version ${version}`)
      return new LogTool(name, connection, keys, options.timeoutMs, String(log), String(rules ?? ''))
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  close(): void {
    this.#connection.destroy()
  }

  async figures(): Promise<LogFigures> {
    const figures = (await this.#run(FIGURES, ['', this.#log])).map(String)
    const [rows, bytes, , dropped, places, , head, , , nodes, ...ruled] = figures
    const names = namesOf(this.#rules)
    return {
      rows: Number(rows),
      bytes: Number(bytes),
      dropped: Number(dropped),
      places: Number(places),
      head: Number(head),
      nodes: Number(nodes),
      rules: names.map((rule, at) => ({
        rule,
        rows: Number(ruled[2 * at] ?? 0),
        bytes: Number(ruled[2 * at + 1] ?? 0),
      })),
    }
  }

  /** Where the entry with this id stands; null when the log does not know it. */
  async find(id: string): Promise<number | null> {
    const [position] = await this.#run(FIND, ['', this.#log, id])
    return position === undefined || String(position) === '' ? null : Number(position)
  }

  /** Outlines of the entries up to the head of this moment, oldest first, in pages. */
  async *outlines(): AsyncGenerator<readonly Outline[]> {
    for await (const page of this.#pages(0, OUTLINES, false)) {
      yield page.map(({ packed, ...place }) => {
        const { id, topics } = parseHeader(packed.toString('utf8'))
        return { ...place, id, topics }
      })
    }
  }

  /** Whole entries after a position, in the same way. */
  async *entries(after: number): AsyncGenerator<readonly StoredOnServer[]> {
    for await (const page of this.#pages(after, ENTRIES, true)) {
      yield page.map(({ packed, ...place }) => {
        const { id, topics, private: isPrivate, frame } = unpackEntry(packed, place.seq as Position)
        return { ...place, id, topics, private: isPrivate, frame }
      })
    }
  }

  /** Drops entries, and answers how many of them there still were, and their bytes. */
  async drop(seqs: readonly number[], isFront: boolean): Promise<{ count: number; bytes: number }> {
    const [count, bytes] = await this.#run(DROP, [this.#log, isFront ? '1' : '0', ...seqs.map(String)])
    return { count: Number(count), bytes: Number(bytes) }
  }

  async *#pages(after: number, limit: number, hasFrames: boolean): AsyncGenerator<readonly Stored[]> {
    const { head } = await this.figures()
    for (let from = after; ; ) {
      const args = [this.#log, String(from), String(head), String(limit), hasFrames ? '1' : '0']
      const [offset, ...rest] = await this.#run(BROWSE, args)
      const page: Stored[] = []
      for (let at = 0; at + 3 < rest.length; at += 4) {
        const packed = rest[at + 3]
        if (!Buffer.isBuffer(packed)) throw new Error('the log holds what no hub wrote')
        const seq = Number(rest[at])
        page.push({ seq, at: Number(rest[at + 1]) - Number(offset), bytes: Number(rest[at + 2]), packed })
        from = seq
      }
      if (page.length === 0) return
      yield page
    }
  }

  async #run(script: Script, args: readonly string[]): Promise<readonly unknown[]> {
    for (;;) {
      const answer = await this.#connection.script(script, this.#keys, args, this.#timeoutMs)
      const [status, ...rest] = Array.isArray(answer) ? answer : []
      if (String(status) === 'OK') return rest
      if (String(status) !== 'AGAIN') throw new Error('the log was replaced meanwhile')
    }
  }
}

interface Stored {
  readonly seq: number
  readonly at: number
  readonly bytes: number
  readonly packed: Buffer
}

const OUTLINES = 500
const ENTRIES = 250

function namesOf(rules: string): readonly string[] {
  const parsed: unknown = rules === '' ? [] : JSON.parse(rules)
  return Array.isArray(parsed) ? parsed.map(({ name }) => String(name)) : []
}
