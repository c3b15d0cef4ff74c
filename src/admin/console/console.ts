import type { EventStream } from '../../stream/event-stream.ts'
import { Actions } from './actions.ts'
import type { HubView, Sample } from './answers.ts'
import { Feeds } from './feeds.ts'
import { Guard } from './guard.ts'
import { PastReader } from './past.ts'
import { apiFields, Refusal, refusalResponse } from './refusal.ts'
import { Meter, Series } from './series.ts'
import type { ConsoleSources } from './sources.ts'
import { SubscriberList } from './subscriber-list.ts'
import { topicPage } from './topic-page.ts'

/**
 * The API of the console. Everything is read from the hub when somebody asks; the only exception is a sample of the
 * figures every ten seconds, for the last hour.
 */
export class Console {
  readonly #sources: ConsoleSources
  readonly #guard: Guard
  readonly #feeds: Feeds
  readonly #past: PastReader
  readonly #subscribers: SubscriberList
  readonly #actions: Actions
  readonly #series = new Series()
  readonly #meter: Meter
  #latest: Sample | null = null

  constructor(sources: ConsoleSources) {
    this.#sources = sources
    this.#guard = new Guard(sources.settings, () => sources.loop.now())
    this.#feeds = new Feeds(sources)
    this.#past = new PastReader(sources)
    this.#subscribers = new SubscriberList(sources)
    this.#actions = new Actions(sources)
    this.#meter = new Meter(sources.counters, sources.loop.now())
  }

  /** Open feeds, for tests and gauges. */
  get feeds(): number {
    return this.#feeds.size
  }

  /** Answers a request below `/api`. `peer`: the address that it came from, or an empty text. */
  async answer(request: Request, peer: string): Promise<Response | EventStream> {
    try {
      this.#guard.check(request, peer)
      return await this.#route(request, peer)
    } catch (error) {
      if (error instanceof Refusal) return refusalResponse(error)
      throw error
    }
  }

  /** Takes a sample for the last hour. The watch of the process calls it every ten seconds. Never rejects. */
  async sample(): Promise<void> {
    const { notices, loop, wall, about } = this.#sources
    const slow = this.#meter.slowSince
    const levels = await this.#sources.levels()
    this.#latest = this.#meter.take(levels, loop.now())
    this.#series.add(this.#latest, wall())
    if (slow === 0) return
    const mebibytes = about().limits.subscriberBuffer / 2 ** 20
    const readers = slow === 1 ? '1 reader was' : `${slow} readers were`
    notices.add('warn', `${readers} cut: more than ${Number(mebibytes.toFixed(2))} MiB waited`)
  }

  /** Ends all feeds. */
  close(): void {
    this.#feeds.close()
  }

  async #route(request: Request, peer: string): Promise<Response | EventStream> {
    const { pathname, searchParams } = new URL(request.url)
    const path = pathname.slice('/api/'.length)
    if (request.method === 'GET') return await this.#get(path, searchParams)
    if (request.method !== 'POST') throw new Refusal(405, 'the method is not served')
    return await this.#post(path, await bodyOf(request), peer)
  }

  async #get(path: string, asked: URLSearchParams): Promise<Response | EventStream> {
    switch (path) {
      case 'hub':
        return answer(await this.#hub())
      case 'series':
        return answer(this.#series.view())
      case 'configuration':
        return answer(this.#sources.configuration())
      case 'live':
        return this.#feeds.open(asked)
      case 'topics':
        return answer(await topicPage(this.#sources, this.#feeds))
      case 'subscribers':
        return answer(await this.#subscribers.page(asked))
      case 'history':
        return answer(await this.#past.page(asked))
      default: {
        const position = /^history\/(\d{1,16})$/.exec(path)?.[1]
        if (position === undefined) throw new Refusal(404, 'no such path')
        return answer(await this.#past.inspect(Number(position)))
      }
    }
  }

  async #post(path: string, body: unknown, peer: string): Promise<Response> {
    switch (path) {
      case 'deliveries':
        return answer(await this.#actions.deliveries(body))
      case 'explain':
        return answer(await this.#actions.explain(body))
      case 'mint':
        return answer(await this.#actions.mint(body, peer))
      case 'request':
        return await this.#actions.request(body, peer)
      case 'disconnect':
        return answer(this.#actions.disconnect(body, peer))
      case 'prune':
        return answer(await this.#actions.prune(body, peer))
      default:
        throw new Refusal(404, 'no such path')
    }
  }

  async #hub(): Promise<HubView> {
    const { about, settings, neighbours, hub, notices, configuration } = this.#sources
    const { rules: _, mints, ...facts } = about()
    const { actions, payloads } = settings()
    const self = {
      id: facts.node,
      self: true,
      subscribers: hub.subscriberCount,
      published: this.#latest?.published ?? 0,
      head: hub.head.position,
      seen: 0,
    }
    return {
      ...facts,
      may: {
        act: actions,
        mint: actions && (mints.publish || mints.subscribe),
        mints,
        payloads,
        prune: actions && this.#sources.prune !== null,
      },
      nodes: [self, ...(await neighbours.nodes())],
      notices: notices.notices,
      warnings: configuration().warnings.length,
    }
  }
}

function answer(body: unknown): Response {
  return Response.json(body, { headers: apiFields })
}

/** Throws a Refusal: 413 beyond 2 MiB, 400 when it is no JSON. */
async function bodyOf(request: Request): Promise<unknown> {
  if (Number(request.headers.get('content-length') ?? 0) > BODY_MAX)
    throw new Refusal(413, 'the body is too large')
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body ?? []) {
    length += chunk.length
    if (length > BODY_MAX) throw new Refusal(413, 'the body is too large')
    chunks.push(chunk)
  }
  try {
    return JSON.parse(new TextDecoder().decode(Buffer.concat(chunks)))
  } catch {
    throw new Refusal(400, 'the body is not JSON')
  }
}

const BODY_MAX = 2 * 1024 * 1024
