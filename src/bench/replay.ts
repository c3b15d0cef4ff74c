import { CommandFailure, UsageError } from '../command/command.ts'
import { explainRefusal } from '../command/hub-request.ts'
import { Tally } from './client/events.ts'
import { Publishers, stampedBody } from './client/publishers.ts'
import { Reader } from './client/reader.ts'
import { median, type Report } from './report.ts'
import type { Bench } from './run.ts'

/**
 * Measures a subscriber that comes back with a cursor and gets what it has missed. The run publishes first, and asks
 * for the last updates of these; with a cursor given, it asks for updates that are there already.
 */
export async function benchReplay(bench: Bench): Promise<Report> {
  const { options, signal, prefix } = bench
  if (options.lastEventId === null && options.last >= options.updates) {
    throw new UsageError('--last is not less than --updates')
  }
  const cursor = options.lastEventId ?? (await fillHistory(bench))
  const topic = options.topic ?? (options.lastEventId === null ? `${prefix}0` : '*')
  const rounds: Round[] = []
  for (let round = 0; round < options.rounds && !signal.aborted; round++) {
    rounds.push(await replay(bench, topic, cursor))
    bench.progress.show('replaying', (round + 1) / options.rounds)
  }
  const figures = {
    updates: options.lastEventId === null ? options.updates : Number.NaN,
    replayed: median(rounds.map(({ events }) => events)),
    rounds: rounds.length,
    first_event_ms: median(rounds.map(({ firstMs }) => firstMs)),
    first_event_max_ms: Math.max(...rounds.map(({ firstMs }) => firstMs)),
    last_event_ms: median(rounds.map(({ lastMs }) => lastMs)),
    last_event_max_ms: Math.max(...rounds.map(({ lastMs }) => lastMs)),
    first_round_last_event_ms: rounds[0]?.lastMs ?? Number.NaN,
    hub_memory_after_bytes: bench.local?.residentBytes() ?? Number.NaN,
  }
  const title = `Replay of ${options.last.toLocaleString('en')} updates`
  const points = (of: (round: Round) => number) =>
    rounds.map((round, at): [number, number] => [at + 1, of(round)])
  const series = [
    { name: 'first event', points: points(({ firstMs }) => firstMs) },
    { name: 'last event', points: points(({ lastMs }) => lastMs) },
  ]
  return { figures, plot: { title, xLabel: 'round', yLabel: 'milliseconds', series } }
}

interface Round {
  readonly events: number
  /** The time of the first event, from the start of the connection. */
  readonly firstMs: number
  readonly lastMs: number
}

async function replay({ target, options, signal }: Bench, topic: string, cursor: string): Promise<Round> {
  const tally = new Tally()
  const start = performance.now()
  const request = target.subscription(topic, cursor)
  const { reader, status } = await Reader.open({
    target,
    request,
    dataBytes: options.dataBytes,
    tally,
    isTimed: false,
  })
  try {
    if (status !== 200) throw new CommandFailure(explainRefusal(new Response(null, { status })))
    await tally.reach(options.last, QUIET_MS, signal)
    const { events, firstAt, lastAt } = tally
    return { events, firstMs: firstAt - start, lastMs: lastAt - start }
  } finally {
    reader.close()
  }
}

/** Publishes the updates; answers with the id after which the updates come that the run asks for. */
export async function fillHistory(bench: Bench): Promise<string> {
  const { options, target } = bench
  const publishers = await Publishers.open(target, options.publishers)
  try {
    await publishSome(bench, publishers, options.updates - options.last - 1)
    const cursor = await publishAlone(bench)
    await publishSome(bench, publishers, options.last)
    if (!/^[\x21-\x7e]+$/.test(cursor)) throw new CommandFailure('the hub answers publications without an id')
    return cursor
  } finally {
    publishers.close()
  }
}

/** Publishes one update while nobody else publishes, so that exactly the others come after it. Answers with its id. */
async function publishAlone(bench: Bench): Promise<string> {
  const publishers = await Publishers.open(bench.target, 1)
  try {
    let id = ''
    await publishSome(bench, publishers, 1, (given) => {
      id = given
    })
    return id
  } finally {
    publishers.close()
  }
}

async function publishSome(
  { target, options, signal, progress, prefix }: Bench,
  publishers: Publishers,
  count: number,
  onId: (id: string) => void = () => {},
): Promise<void> {
  await publishers.run({
    body: stampedBody(target, options.dataBytes, () => options.topic ?? `${prefix}0`),
    rate: 0,
    isOver: (number) => {
      if (count > 1) progress.show('publishing', number / count)
      return signal.aborted || number >= count
    },
    onAccepted: (_, id) => onId(id),
  })
}

/** A replay that brings nothing for this time is over. */
const QUIET_MS = 5000
