import { StreamClient } from './stream-client.ts'

/** A reader that stays where it is, and comes back with its cursor whenever its stream ends. Waits for nothing by time. */
export class Follower {
  /** How often it has been connected. */
  connections = 0
  /** How often it was told that its cursor is unknown. */
  losses = 0
  readonly #url: string
  readonly #before: string[] = []
  readonly #running: Promise<void>
  #client: StreamClient | null = null
  #isStopped = false

  constructor(url: string) {
    this.#url = url
    this.#running = this.#run()
  }

  /** The ids of everything that it has received, in order. */
  get received(): readonly string[] {
    return [...this.#before, ...(this.#client?.ids ?? [])]
  }

  /** The newest of these; null before there is one. */
  get last(): string | null {
    return this.#client?.events.at(-1)?.id ?? this.#before.at(-1) ?? null
  }

  get isOpen(): boolean {
    return this.#client !== null && this.last !== null
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#client?.close()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const { last } = this
      const headers = { 'Last-Event-ID': last ?? 'earliest', Accept: 'text/event-stream' }
      const client = await StreamClient.open(this.#url, headers).catch(() => null)
      // A proxy without a hub answers a stream that has no cursor.
      const cursor = client?.headers.get('mercure-last-event-id') ?? null
      if (client === null || client.status !== 200 || cursor === null) {
        client?.close()
        // A pace, as clients have one.
        await Bun.sleep(200 + 300 * Math.random())
        continue
      }
      if (last !== null && cursor !== last) this.losses++
      this.connections++
      this.#client = client
      await client.ended
      client.close()
      this.#client = null
      this.#before.push(...client.ids)
    }
  }
}
