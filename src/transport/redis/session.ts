import { asError, Connection, isReply } from './connection.ts'
import { KEY_NAMES, type Script } from './scripts/script.ts'
import type { Place, ServerOptions } from './server.ts'

/**
 * Three connections to one run of one primary: appends, readings, and the tail, which waits. They live and die together:
 * the first error of one of them ends all, and the transport makes a new session.
 */
export class Session {
  readonly place: Place
  /** The id of the server's process: it never comes back. */
  readonly run: string
  /** Resolves with the reason when the session is over. */
  readonly ended: Promise<Error>
  readonly #connections: Readonly<Record<Lane, Connection>>
  readonly #keys: readonly string[]
  readonly #timeoutMs: number
  readonly #end: (reason: Error) => void
  #isOver = false

  private constructor(
    place: Place,
    run: string,
    connections: Readonly<Record<Lane, Connection>>,
    prefix: string,
    timeoutMs: number,
  ) {
    this.place = place
    this.run = run
    this.#connections = connections
    this.#keys = KEY_NAMES.map((name) => `${prefix}${name}`)
    this.#timeoutMs = timeoutMs
    const { promise, resolve } = Promise.withResolvers<Error>()
    this.ended = promise
    this.#end = resolve
  }

  /** Connects all three. Rejects when they do not reach the same primary, with a plain Error for the operator. */
  static async open(place: Place, prefix: string, options: ServerOptions): Promise<Session> {
    const opened = await Promise.allSettled(lanes.map(() => Connection.open(place, options)))
    const connections = opened.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
    try {
      const failure = opened.find((one) => one.status === 'rejected')
      if (failure !== undefined) throw failure.reason
      const infos = await Promise.all(connections.map((one) => readInfo(one, options.timeoutMs)))
      const [first] = infos
      const [write, read, tail] = connections
      if (first === undefined || write === undefined || read === undefined || tail === undefined)
        throw new Error('the server has no room for three connections')
      if (infos.some(({ run }) => run !== first.run))
        throw new Error('the connections reached different servers')
      if (infos.some(({ isPrimary }) => !isPrimary))
        throw new Error('it is a replica: name the primary, or Sentinels')
      return new Session(place, first.run, { write, read, tail }, prefix, options.timeoutMs)
    } catch (error) {
      for (const connection of connections) connection.destroy()
      throw error
    }
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Runs a script. Rejects, and unless the server merely refused it the session is over. */
  async script(lane: Lane, script: Script, args: readonly (string | Buffer)[]): Promise<readonly unknown[]> {
    const answer = await this.#guard(
      this.#connections[lane].script(script, this.#keys, args, this.#timeoutMs),
    )
    return Array.isArray(answer) ? answer : []
  }

  /** The answer to a command; `waitMs`: for how long the server may hold it back. */
  async call(lane: Lane, args: readonly (string | Buffer)[], waitMs = 0): Promise<unknown> {
    return await this.#guard(this.#connections[lane].call(args, waitMs + this.#timeoutMs))
  }

  /** The name of a key of the log. */
  key(name: (typeof KEY_NAMES)[number]): string {
    return this.#keys[KEY_NAMES.indexOf(name)] ?? ''
  }

  /** Ends all three. Ending twice does nothing. */
  end(reason: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const connection of Object.values(this.#connections)) connection.destroy()
    this.#end(reason)
  }

  async #guard<Answer>(answer: Promise<Answer>): Promise<Answer> {
    try {
      return await answer
    } catch (error) {
      if (!isReply(error) || !isMere(error)) this.end(asError(error))
      throw error
    }
  }
}

/** The purpose of a connection of a session. */
export type Lane = 'write' | 'read' | 'tail'

const lanes = ['write', 'read', 'tail'] as const

/** Whether the server refused one command, and will take others. */
function isMere({ message }: Error): boolean {
  return /^(OOM|MISCONF|NOREPLICAS) /.test(message)
}

async function readInfo(connection: Connection, timeoutMs: number) {
  const server = String(await connection.call(['INFO', 'server'], timeoutMs))
  const replication = String(await connection.call(['INFO', 'replication'], timeoutMs))
  const run = /^run_id:(\w+)/m.exec(server)?.[1] ?? ''
  return { run, isPrimary: /^role:master/m.test(replication) }
}
