import { type RunningHub, startHub, until } from './binary.ts'
import { BreakableProxy } from './proxy.ts'
import { publish } from './publisher.ts'

/** An update as a subscriber sees it. */
export interface SeenUpdate {
  readonly id: string
  readonly data: string
}

/** One client that is subscribed to the topic of the scene. */
export interface Reader {
  readonly received: () => Promise<readonly SeenUpdate[]>
  /** The last of them. */
  readonly latest: () => Promise<SeenUpdate | null>
  /** How often its connection has been open. */
  readonly opened: () => Promise<number>
  readonly close: () => Promise<void>
}

/** A hub behind a proxy that breaks, and a publisher of private updates that reaches the hub past it. */
export class Scene {
  readonly proxy: BreakableProxy
  /** What was published and acknowledged, in order. */
  readonly acknowledged: SeenUpdate[] = []
  readonly #topic: string
  readonly #flags: readonly string[]
  /** Data that was published but not acknowledged: it may have been accepted or not. */
  readonly #unanswered = new Set<string>()
  #hub: Promise<RunningHub>
  #number = 0
  #publishing: Promise<void> = Promise.resolve()
  #isStopped = false

  private constructor(topic: string, flags: readonly string[], hub: RunningHub, proxy: BreakableProxy) {
    this.#topic = topic
    this.#flags = flags
    this.#hub = Promise.resolve(hub)
    this.proxy = proxy
  }

  /** `flags`: of every hub of the scene. */
  static async open(topic: string, flags: readonly string[]): Promise<Scene> {
    const hub = await startHub({ flags })
    return new Scene(topic, flags, hub, await BreakableProxy.open(hub.origin))
  }

  /** The URL of a subscription, through the proxy. `more`: further parameters, each after its `&`. */
  url(more = ''): string {
    return `${this.proxy.origin}/.well-known/mercure?match=${encodeURIComponent(this.#topic)}${more}`
  }

  /** The running hub. */
  get hub(): Promise<RunningHub> {
    return this.#hub
  }

  async publish(): Promise<void> {
    const data = `${++this.#number}\n<p>Größe</p>\n`
    const { url } = await this.#hub
    const id = await publish(url, { topic: this.#topic, data, private: 'on' }).catch(() => null)
    if (id === null) this.#unanswered.add(data)
    else this.acknowledged.push({ id, data })
  }

  /** Publishes one update after the other until `settle`, through every restart. */
  start(): void {
    const run = async () => {
      while (!this.#isStopped) {
        await this.publish()
        // A pace, not a wait: several scenes share a machine.
        await Bun.sleep(5)
      }
    }
    this.#publishing = run()
  }

  /** The hub ends by the signal, and another one goes on with its history at another address. */
  async restart(signal: NodeJS.Signals): Promise<void> {
    const old = await this.#hub
    const next = async () => {
      await old.stop(signal)
      return await startHub({ flags: this.#flags, directory: old.directory })
    }
    this.#hub = next()
    this.proxy.target = (await this.#hub).origin
  }

  /** Resolves when the reader has received something that was published after now. */
  async goesOn(reader: Reader): Promise<void> {
    const from = this.#number
    await until('an update from after now', async () => {
      const latest = await reader.latest()
      return latest !== null && Number.parseInt(latest.data, 10) > from
    })
  }

  /** Publishes a last update and resolves when the readers have it. */
  async settle(...readers: readonly Reader[]): Promise<void> {
    this.#isStopped = true
    await this.#publishing
    await this.publish()
    const last = this.acknowledged.at(-1)?.id
    for (const reader of readers)
      await until('the last update', async () => (await reader.latest())?.id === last)
  }

  /** What the reader has of the updates that were acknowledged. */
  async known(reader: Reader): Promise<readonly SeenUpdate[]> {
    return (await reader.received()).filter(({ data }) => !this.#unanswered.has(data))
  }

  async dispose(): Promise<void> {
    this.#isStopped = true
    await this.#publishing
    await this.proxy.dispose()
    await (await this.#hub).dispose()
  }
}
