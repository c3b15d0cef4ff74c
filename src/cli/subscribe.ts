import type { Arguments, CommandLine } from '../command/arguments.ts'
import { CommandFailure, type CommandIo, type ExitCode, runCommand, UsageError } from '../command/command.ts'
import { reasonOf } from '../command/failure.ts'
import {
  authorization,
  explainAnswer,
  hasToken,
  hubOptions,
  targetUrl,
  tlsOf,
} from '../command/hub-request.ts'
import { firstLine, printable, printableJson, quoted } from '../command/printable.ts'
import { EventStreamParser, type ReceivedEvent } from '../protocol/event-reader.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'subscribe',
  usage: '[MATCHER…] [--urlpattern PATTERN]… [--last-event-id ID] [--json] [--limit N]',
  summary: `Prints events as they arrive, and reconnects by itself. A MATCHER is an exact topic, or * for all,
which is what none stands for. On a terminal control characters in events are shown as \\u001b and the like; a pipe
gets them as they are.`,
  options: [
    { name: 'urlpattern', takes: 'PATTERN', help: 'topics that match this URL Pattern; repeatable' },
    { name: 'last-event-id', takes: 'ID', help: 'what comes after this event; earliest: all that is kept' },
    { name: 'json', takes: null, help: 'prints one JSON object a line' },
    { name: 'verbose', takes: null, help: 'says when it is connected, as it does on a terminal' },
    { name: 'limit', takes: 'N', help: 'ends after so many events' },
    ...hubOptions,
  ],
  hasSettings: false,
  positionals: { min: 0, max: Number.POSITIVE_INFINITY },
}

/** `cinnabar subscribe [MATCHER…]`. Ends with 0 when interrupted, at the limit, or when the hub says so. */
export function runSubscribe(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    await new Printer(args, io).run()
    return 0
  })
}

const FIRST_DELAY_MS = 1000
const DELAY_MS_MAX = 30_000

/** A reader lives through many connections: connect, read to the end, wait, connect with the last id. */
class Printer {
  readonly #io: CommandIo
  readonly #url: URL
  readonly #headers: Record<string, string>
  readonly #tls: Pick<BunFetchRequestInit, 'tls'>
  readonly #hasToken: boolean
  readonly #isJson: boolean
  readonly #isTalkative: boolean
  readonly #done = new AbortController()
  readonly #signal: AbortSignal
  #left: number
  #lastId: string | null
  #retryMs = FIRST_DELAY_MS
  /** The milliseconds that a refusal asked the reader to wait in its `Retry-After`. */
  #pauseMs = 0
  #failures = 0
  /** Whether the reader tells of its next connection: of the first one, and of one after something went wrong. */
  #isNews = true

  constructor(args: Arguments, io: CommandIo) {
    this.#io = io
    this.#url = subscriptionUrl(args)
    this.#headers = { Accept: 'text/event-stream', ...authorization(args, io) }
    this.#tls = tlsOf(args, io)
    this.#hasToken = hasToken(args, io)
    this.#isJson = args.has('json')
    this.#isTalkative = args.has('verbose') || io.isErrorTerminal
    this.#left = limitOf(args)
    this.#lastId = args.value('last-event-id')
    this.#signal = AbortSignal.any([io.interrupted, this.#done.signal])
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      const end = await this.#connect()
      if (this.#signal.aborted || end === 'over') return
      const delayMs = this.#delayMs()
      if (end !== 'ended') {
        this.#say(`${end}; trying again in ${delayMs} ms`)
        this.#isNews = true
      }
      await this.#io.sleep(delayMs, this.#signal)
    }
  }

  /** Milliseconds until the next connection: the time that the hub asked for; longer after each failure in a row. */
  #delayMs(): number {
    const backoffMs = Math.min(this.#retryMs * 2 ** Math.max(0, this.#failures - 1), DELAY_MS_MAX)
    return Math.max(backoffMs, this.#retryMs, this.#pauseMs)
  }

  /** Resolves with the end of the connection: `over` for good, `ended` as connections do, or the mistake in words. */
  async #connect(): Promise<string> {
    const url = new URL(this.#url)
    // A header field could not carry every id: its values are Latin-1 (REC-19).
    if (this.#lastId !== null) url.searchParams.set('last_event_id', this.#lastId)
    this.#failures += 1
    try {
      const init = { headers: this.#headers, redirect: 'manual' as const, signal: this.#signal, ...this.#tls }
      const response = await this.#io.fetch(url.href, init)
      return await this.#read(response)
    } catch (error) {
      if (this.#signal.aborted) return 'over'
      if (error instanceof CommandFailure) throw error
      const isLost = this.#failures === 0
      return `${url.origin} ${isLost ? 'is lost' : 'does not answer'}: ${reasonOf(error)}`
    }
  }

  async #read(response: Response): Promise<string> {
    if (response.status === 204) return 'over'
    this.#pauseMs = 1000 * (Number(response.headers.get('Retry-After')) || 0)
    if (response.status === 429 || response.status >= 500) {
      return await explainAnswer(response, this.#hasToken)
    }
    if (response.status !== 200) throw new CommandFailure(await explainAnswer(response, this.#hasToken))
    const type = firstLine(response.headers.get('Content-Type') ?? 'nothing', 80)
    if (!/^text\/event-stream\s*(;|$)/i.test(type)) {
      throw new CommandFailure(`the hub answers with ${type}, which is no event stream`)
    }
    this.#greet(response.headers)
    this.#failures = 0
    const parser = new EventStreamParser(this.#lastId ?? '')
    for await (const chunk of response.body ?? []) {
      const events = parser.push(chunk)
      this.#retryMs = parser.retryMs ?? this.#retryMs
      if (parser.lastId !== '') this.#lastId = parser.lastId
      for (const event of events) {
        this.#print(event)
        if (--this.#left > 0) continue
        this.#done.abort()
        return 'over'
      }
    }
    return 'ended'
  }

  /** Says that the reader is connected, on a terminal or when asked to, and always that updates may be missing. */
  #greet(headers: Headers): void {
    if (this.#isTalkative && this.#isNews) this.#say(`connected to ${this.#url.origin}${this.#url.pathname}`)
    this.#isNews = false
    const asked = this.#lastId ?? 'earliest'
    // A 0.x hub answers with the older name of the field.
    const answered = headers.get('Mercure-Last-Event-ID') ?? headers.get('Last-Event-ID')
    if (answered !== 'earliest' || asked === 'earliest') return
    this.#say(`the hub does not know the event ${quoted(asked)}: updates may be missing`)
  }

  #say(text: string): void {
    this.#io.stderr(`cinnabar subscribe: ${text}\n`)
  }

  #print(event: ReceivedEvent): void {
    const { stdout, isTerminal } = this.#io
    if (this.#isJson) stdout(`${printableJson(event)}\n`)
    else stdout(isTerminal ? printable(asText(event)) : asText(event))
  }
}

function subscriptionUrl(args: Arguments): URL {
  const url = targetUrl(args)
  const patterns = args.values('urlpattern')
  const matchers = args.positionals.length + patterns.length === 0 ? ['*'] : args.positionals
  for (const matcher of matchers) url.searchParams.append('match', matcher)
  for (const pattern of patterns) url.searchParams.append('match_urlpattern', pattern)
  return url
}

function limitOf(args: Arguments): number {
  const limit = args.value('limit')
  if (limit === null) return Number.POSITIVE_INFINITY
  if (!/^[1-9][0-9]{0,14}$/.test(limit))
    throw new UsageError(`--limit is not a number from 1: ${quoted(limit)}`)
  return Number(limit)
}

/** The event as text: as in the stream, it ends with an empty line. */
function asText({ id, type, data }: ReceivedEvent): string {
  const head = type === 'message' ? '' : `event: ${type}\n`
  const lines = data
    .split('\n')
    .map((each) => `data: ${each}`)
    .join('\n')
  return `id: ${id}\n${head}${lines}\n\n`
}
