import { CommandFailure } from '../../command/command.ts'
import { reasonOf } from '../../command/failure.ts'
import { explainRefusal } from '../../command/hub-request.ts'
import type { Tally } from './events.ts'
import { Reader } from './reader.ts'
import type { Target } from './target.ts'

export interface ReadersOptions {
  readonly target: Target
  readonly count: number
  /** The topic that the subscriber with this number asks for. */
  topic(number: number): string
  readonly dataBytes: number
  readonly tally: Tally
  readonly signal: AbortSignal
  onOpened?(count: number): void
}

/**
 * Opens `options.count` subscribers and resolves when each has its answer. When the hub refuses one, opens no more,
 * waits for the answers to those on their way, and throws a `CommandFailure`; the caller closes those that are open,
 * through `readers`.
 */
export async function openReaders(options: ReadersOptions, readers: Reader[]): Promise<void> {
  let next = 0
  const failures: unknown[] = []
  const work = async () => {
    while (failures.length === 0 && next < options.count && !options.signal.aborted) {
      const number = next++
      try {
        readers.push(await openReader(options, number))
      } catch (error) {
        failures.push(error)
        return
      }
      options.onOpened?.(readers.length)
    }
  }
  await Promise.all(Array.from({ length: OPENING }, work))
  if (failures.length > 0) throw failures[0]
}

async function openReader({ target, ...options }: ReadersOptions, number: number): Promise<Reader> {
  const request = target.subscription(options.topic(number), null)
  // The deliveries to a few dozen subscribers say as much about the time as those to all.
  const isTimed = number % Math.ceil(options.count / TIMED_MAX) === 0
  const { dataBytes, tally } = options
  const { reader, status } = await Reader.open({ target, request, dataBytes, tally, isTimed }).catch(
    (error) => {
      throw new CommandFailure(`${target.url.origin} does not answer: ${reasonOf(error)}`)
    },
  )
  if (status === 200) return reader
  reader.close()
  throw new CommandFailure(`subscribing: ${explainRefusal(new Response(null, { status }))}`)
}

/** Connections that are being opened at a time: fewer than a listener's queue holds. */
const OPENING = 100
const TIMED_MAX = 100
