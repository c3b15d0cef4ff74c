import * as v from 'valibot'
import type { Audience, Explanation, MintedToken, PruneOutcome } from './answers.ts'
import { audienceOf } from './audience.ts'
import { topicFilter } from './filter.ts'
import { apiFields, Refusal } from './refusal.ts'
import type { ConsoleSources } from './sources.ts'

/** Everything that the page asks by POST. Each that changes something is a line in the log, without token and data. */
export class Actions {
  readonly #sources: ConsoleSources

  constructor(sources: ConsoleSources) {
    this.#sources = sources
  }

  async deliveries(body: unknown): Promise<Audience> {
    const { topics, private: isPrivate } = read(deliveries, body)
    return await audienceOf(this.#sources, topics, isPrivate)
  }

  async explain(body: unknown): Promise<Explanation> {
    return { roles: await this.#sources.explain(read(explain, body).token) }
  }

  async mint(body: unknown, peer: string): Promise<MintedToken> {
    this.#checkActions()
    const asked = read(mint, body)
    try {
      const made = await this.#sources.mint(asked)
      const { publish, subscribe, ttl } = asked
      this.#audit('make a token', peer, {
        subject: `${publish.length} to publish, ${subscribe.length} to subscribe, ${ttl} s`,
      })
      return made
    } catch (error) {
      throw new Refusal(409, error instanceof Error ? error.message : 'no such token can be made')
    }
  }

  /** Asks the hub itself, and answers as it does, with its status, its fields and its stream. */
  async request(body: unknown, peer: string): Promise<Response> {
    const { method, token, query, form } = read(request, body)
    if (method === 'POST') this.#checkActions()
    const url = new URL(this.#sources.about().address)
    for (const [name, value] of query) url.searchParams.append(name, value)
    const headers = new Headers({ Host: url.host })
    if (token !== '') headers.set('Authorization', `Bearer ${token}`)
    const pairs = new URLSearchParams(form.map(([name, value]) => [name, value]))
    if (method === 'POST') headers.set('Content-Type', 'application/x-www-form-urlencoded')
    const sent = { method, headers, ...(method === 'POST' ? { body: pairs.toString() } : {}) }
    const answer = await this.#sources.edge(new Request(url, sent))
    if (method === 'POST') {
      const topic = pairs.get('topic')?.slice(0, 200) ?? ''
      this.#audit('publish', peer, { subject: topic, outcome: answer.status })
    }
    return answeredByHub(answer)
  }

  disconnect(body: unknown, peer: string): unknown {
    this.#checkActions()
    const { subscriber: id } = read(disconnect, body)
    const { hub } = this.#sources
    const found = hub.subscribers.find((one) => one.id === id)
    if (found !== undefined) hub.end(found, { kind: 'operator' })
    const ended = found === undefined ? 0 : 1
    this.#audit('disconnect', peer, { subject: id.slice(0, 200), outcome: ended })
    return { ended }
  }

  async prune(body: unknown, peer: string): Promise<PruneOutcome> {
    const { keep, match, type, isDryRun } = read(prune, body)
    if (!isDryRun) this.#checkActions()
    const { prune: run, location } = this.#sources
    if (run === null) throw new Refusal(409, 'only a history in a file can be pruned here')
    if (keep.count === null && keep.age === null)
      throw new Refusal(400, 'say what to keep: a count or an age')
    const matches = topicFilter(match, type, location)
    try {
      const gone = await run({ keepCount: keep.count, keepAge: keep.age, matches, isDryRun })
      if (!isDryRun)
        this.#audit('prune', peer, { subject: match.slice(0, 200), outcome: `${gone.count} updates` })
      return gone
    } catch (error) {
      throw new Refusal(409, error instanceof Error ? error.message : 'the history cannot be pruned')
    }
  }

  #checkActions(): void {
    if (!this.#sources.settings().actions)
      throw new Refusal(403, 'admin.actions is false: this console only shows')
  }

  #audit(action: string, peer: string, fields: Readonly<Record<string, string | number>>): void {
    this.#sources.audit(action, { ...fields, address: peer })
  }
}

/** The page may be told 401 by the hub, which does not end its own session: the field says who answered. */
function answeredByHub(answer: Response): Response {
  const headers = new Headers(answer.headers)
  for (const [name, value] of Object.entries(apiFields)) headers.set(name, value)
  headers.set('X-Answered-By', 'hub')
  return new Response(answer.body, { status: answer.status, headers })
}

const text = (max: number) => v.pipe(v.string(), v.maxLength(max))
const texts = (many: number, max: number) => v.pipe(v.array(text(max)), v.maxLength(many))
const pairs = v.pipe(v.array(v.tuple([text(100), v.string()])), v.maxLength(1200))
const flag = v.optional(v.boolean(), false)

const deliveries = v.object({ topics: v.pipe(texts(100, 4096), v.minLength(1)), private: flag })
const explain = v.object({ token: text(65_536) })
const mint = v.object({
  publish: texts(100, 4096),
  subscribe: texts(100, 4096),
  ttl: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3600)),
})
const request = v.object({
  method: v.picklist(['GET', 'POST']),
  token: v.optional(text(65_536), ''),
  query: v.optional(pairs, []),
  form: v.optional(pairs, []),
})
const disconnect = v.object({ subscriber: text(4096) })
const amount = v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0)), null)
const prune = v.object({
  keep: v.object({ count: amount, age: amount }),
  match: v.optional(text(1000), ''),
  type: v.optional(v.picklist(['exact', 'urlpattern']), 'urlpattern'),
  isDryRun: v.boolean(),
})

/** Throws a Refusal that names the member. */
function read<Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, body, { abortEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  const place = issue === undefined ? '' : (v.getDotPath(issue) ?? 'the body')
  throw new Refusal(400, `${place} is not as the console understands it`)
}
