import { expect } from 'bun:test'
import { type RunningHub, startHub, until } from './binary.ts'
import { BreakableProxy } from './proxy.ts'
import { post } from './publisher.ts'
import { RedisServer, type RedisServerOptions } from './redis-server.ts'
import { StreamClient } from './stream-client.ts'
import { tokenFor } from './tokens.ts'

/** How a cluster is made. */
export interface ClusterOptions {
  readonly hubs?: number
  readonly server?: RedisServerOptions
  /** Further flags of each hub. */
  readonly flags?: readonly string[]
  /** Whether each hub reaches the server through a network of its own that breaks. */
  readonly hasNetworks?: boolean
  /** Prepares the server, and answers with the flags that say where the log is; by default its URL. */
  readonly place?: (server: RedisServer) => Promise<readonly string[]>
  /** Readers that change nodes; by default 6. */
  readonly readers?: number
  /** The pause of each publisher after an answer, in milliseconds; by default 20. */
  readonly pauseMs?: number
}

/**
 * Hubs on one log, with a publisher on each and readers that change nodes with their cursor, while something fails. In
 * the end every reader that was not told of a loss must have every accepted update once, and all in one order.
 */
export class Cluster {
  readonly server: RedisServer
  readonly networks: readonly BreakableProxy[]
  readonly hubs: RunningHub[]
  readonly #options: ClusterOptions
  readonly #place: readonly string[] | null
  readonly #accepted = new Set<string>()
  /** The statuses of refusals, with the number of each; 0 where there was no answer. */
  readonly refusals = new Map<number, number>()
  readonly readers: Wanderer[] = []
  readonly #down = new Set<number>()
  #publishing: Promise<unknown> = Promise.resolve()
  #isStopped = false
  #number = 0

  private constructor(
    server: RedisServer,
    networks: readonly BreakableProxy[],
    hubs: RunningHub[],
    options: ClusterOptions,
    place: readonly string[] | null,
  ) {
    this.#place = place
    this.server = server
    this.networks = networks
    this.hubs = hubs
    this.#options = options
  }

  /** Starts everything, and resolves when updates come to every reader. */
  static async open(options: ClusterOptions = {}): Promise<Cluster> {
    const server = await RedisServer.start(options.server)
    const count = options.hubs ?? 3
    const networks: BreakableProxy[] = []
    for (let at = 0; options.hasNetworks === true && at < count; at++)
      networks.push(await BreakableProxy.open(`http://127.0.0.1:${server.port}`))
    const place = (await options.place?.(server)) ?? null
    const cluster = new Cluster(server, networks, [], options, place)
    for (let at = 0; at < count; at++) cluster.hubs.push(await cluster.#startHub(at))
    await cluster.#begin()
    return cluster
  }

  /** The number of updates that were accepted. */
  get acceptedCount(): number {
    return this.#accepted.size
  }

  /** Resolves when that many more updates were accepted. */
  async goesOn(count = 50): Promise<void> {
    const wanted = this.acceptedCount + count
    await until(`${count} updates more`, () => this.acceptedCount >= wanted, 40_000)
  }

  /** The hub is gone in the middle of everything. */
  async kill(at: number): Promise<void> {
    this.#down.add(at)
    await this.hubs[at]?.stop('SIGKILL')
  }

  /** Another one comes in its place. */
  async revive(at: number): Promise<void> {
    this.hubs[at] = await this.#startHub(at)
    this.#down.delete(at)
  }

  /** Stops the process of the hub, which then answers nobody; readers and publishers go elsewhere. */
  stop(at: number): void {
    this.#down.add(at)
    process.kill(this.hubs[at]?.pid ?? 0, 'SIGSTOP')
  }

  continue(at: number): void {
    process.kill(this.hubs[at]?.pid ?? 0, 'SIGCONT')
    this.#down.delete(at)
  }

  /** A hub that is up: any, by chance. */
  pick(): RunningHub {
    const up = this.hubs.filter((_, at) => !this.#down.has(at))
    const hub = up[Math.floor(Math.random() * up.length)]
    if (hub === undefined) throw new Error('every hub is down')
    return hub
  }

  /** Publishes a last update, and checks what each reader has. Answers the readers that were told of a loss. */
  async finish(): Promise<readonly Wanderer[]> {
    this.#isStopped = true
    await this.#publishing
    const last = `last-${crypto.randomUUID()}`
    await until('the last update', async () => await this.#publish(this.pick(), last), 30_000)
    for (const reader of this.readers)
      await until('the last update at each reader', () => reader.received.at(-1) === last, 30_000)
    await Promise.all(this.readers.map((reader) => reader.stop()))
    this.#check()
    return this.readers.filter(({ losses }) => losses > 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.readers.map((reader) => reader.stop()))
    for (const hub of this.hubs) {
      try {
        process.kill(hub.pid, 'SIGCONT')
      } catch {
        // It was killed before.
      }
      await hub.dispose()
    }
    await this.#publishing
    for (const network of this.networks) await network.dispose()
    await this.server[Symbol.asyncDispose]()
  }

  async #startHub(at: number): Promise<RunningHub> {
    const network = this.networks[at]
    const url = network === undefined ? this.server.url : network.origin.replace('http:', 'redis:')
    const place = this.#place ?? ['--redis-url', url]
    const presence = ['--hub-anonymous', '--hub-subscriptions']
    return await startHub({
      flags: ['--transport', 'redis', ...place, ...presence, ...(this.#options.flags ?? [])],
    })
  }

  async #begin(): Promise<void> {
    const { readers = 6 } = this.#options
    await until('a first update', async () => await this.#publish(this.pick(), 'first'))
    for (let n = 0; n < readers; n++) this.readers.push(new Wanderer(() => this.pick(), 'updates'))
    for (const reader of this.readers) await until('it', () => reader.received.length > 0)
    this.#publishing = Promise.all(this.hubs.map((_, at) => this.#publishOn(at)))
    await this.goesOn(20)
  }

  /** One update after the other, each once, whatever the answer. */
  async #publishOn(at: number): Promise<void> {
    while (!this.#isStopped) {
      const hub = this.hubs[at]
      if (hub === undefined || this.#down.has(at)) await Bun.sleep(20)
      else await this.#publish(hub, `${at}-${++this.#number}`)
      // A pace, not a wait.
      await Bun.sleep(this.#options.pauseMs ?? 20)
    }
  }

  /** Answers whether it was accepted. */
  async #publish({ url }: RunningHub, id: string): Promise<boolean> {
    const abort = Promise.withResolvers<number>()
    const timer = setTimeout(() => abort.resolve(0), PUBLISH_MS)
    const status = await Promise.race([
      post(url, { topic: 'updates', data: id, id }).then(
        (response) => response.status,
        () => 0,
      ),
      abort.promise,
    ]).finally(() => clearTimeout(timer))
    if (status === 200) this.#accepted.add(id)
    else this.refusals.set(status, (this.refusals.get(status) ?? 0) + 1)
    return status === 200
  }

  #check(): void {
    const whole = this.readers.filter(({ losses }) => losses === 0)
    for (const { received } of whole) expect(new Set(received).size).toBe(received.length)
    const [first] = whole
    if (first === undefined) return
    const isThere = new Set(first.received)
    expect([...this.#accepted].filter((id) => !isThere.has(id))).toEqual([])
    for (const { received } of whole) expect(received).toEqual(first.received)
  }
}

/** A publication that takes longer has an unknown outcome. */
const PUBLISH_MS = 12_000

/** A reader that changes nodes again and again, with its cursor, and notes whether it was told of a loss. */
export class Wanderer {
  /** What it has received, in order. */
  readonly received: string[] = []
  /** How often it was told that its cursor is unknown. */
  losses = 0
  /** How often a hub refused it. */
  refusals = 0
  readonly #pick: () => RunningHub
  readonly #match: string
  readonly #headers: () => Promise<Readonly<Record<string, string>>>
  readonly #take: (data: string, id: string) => void
  readonly #running: Promise<void>
  #last: string | null = null
  #client: StreamClient | null = null
  #isStopped = false

  constructor(
    pick: () => RunningHub,
    match: string,
    headers: () => Promise<Readonly<Record<string, string>>> = async () => ({}),
    take: (data: string, id: string) => void = () => {},
    stayMs = 400,
  ) {
    this.#pick = pick
    this.#match = match
    this.#headers = headers
    this.#take = take
    this.#stayMs = stayMs
    this.#running = this.#run()
  }

  readonly #stayMs: number

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#client?.close()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const hub = this.#pick()
      const cursor = this.#last ?? 'earliest'
      const separator = this.#match.includes('=') ? '' : 'match='
      const opened = StreamClient.open(`${hub.url}?${separator}${this.#match}`, {
        'Last-Event-ID': cursor,
        ...(await this.#headers()),
      }).catch(() => null)
      // A hub that hangs is left.
      const client = await Promise.race([opened, Bun.sleep(1500).then(() => null)])
      if (client === null || client.status !== 200) {
        if (client !== null) this.refusals++
        void opened.then((late) => late?.close())
        await Bun.sleep(50)
        continue
      }
      this.#client = client
      if (this.#last !== null && client.headers.get('mercure-last-event-id') !== this.#last) this.losses++
      await this.#stay(client)
    }
  }

  async #stay(client: StreamClient): Promise<void> {
    const stay = this.#stayMs / 4 + this.#stayMs * Math.random()
    const until = performance.now() + stay
    let taken = 0
    const take = () => {
      for (const { id, data } of client.events.slice(taken)) {
        taken++
        this.#last = id
        this.received.push(id)
        this.#take(data, id)
      }
    }
    while (!client.isClosed && performance.now() < until && !this.#isStopped) {
      take()
      await Bun.sleep(10)
    }
    take()
    client.close()
  }
}

/** Watches the subscriptions of all nodes: each begins and ends in turn. */
export class Watcher {
  /** Whether each subscription is active, by its id. */
  readonly active = new Map<string, boolean>()
  /** Subscriptions that began or ended twice. */
  readonly wrong: string[] = []
  readonly reader: Wanderer

  constructor(pick: () => RunningHub) {
    const match = `match_urlpattern=${encodeURIComponent('/.well-known/mercure/subscriptions/:t/:m/:s')}`
    this.reader = new Wanderer(pick, match, authorization, (data) => this.#note(data))
  }

  get activeIds(): readonly string[] {
    return [...this.active].flatMap(([id, active]) => (active ? [id] : [])).toSorted()
  }

  #note(data: string): void {
    const { id, active }: { id: string; active: boolean } = JSON.parse(data)
    if ((this.active.get(id) ?? false) === active) this.wrong.push(`${id} ${active}`)
    this.active.set(id, active)
  }
}

/** The ids of the subscriptions that the API of a hub shows. */
export async function subscriptionsOf({ url }: RunningHub): Promise<readonly string[]> {
  const response = await fetch(`${url}/subscriptions`, { headers: await authorization() })
  const { subscriptions }: { subscriptions: readonly { id: string }[] } = await response.json()
  return subscriptions.map(({ id }) => id).toSorted()
}

let known: Promise<string> | null = null

async function authorization(): Promise<Readonly<Record<string, string>>> {
  known ??= tokenFor({ subscribe: ['*'] })
  return { Authorization: `Bearer ${await known}` }
}
