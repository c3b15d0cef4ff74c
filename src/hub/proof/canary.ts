import type { Frame } from '../../protocol/event-stream.ts'
import { encode } from '../../protocol/event-stream.ts'
import { anonymous } from '../../protocol/grant.ts'
import { Delivery } from '../delivery.ts'
import { type Sink, Subscriber } from '../subscriber.ts'
import { type Entry, type Position, START } from '../transport.ts'

/**
 * An entry with one reader, both inside the process: it is in no log and in no routing, so that no subscriber, gauge or
 * metric ever meets it. That it arrives shows that the dispatch has its turns and writes to sinks.
 */
export class Canary {
  /** Resolves when the sink has the whole frame. */
  readonly written: Promise<void>
  readonly #reader: Subscriber

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.written = promise
    const cursor = { after: START, lastEventId: null, losses: 0 }
    this.#reader = new Subscriber(entry.id, [], anonymous, cursor, new CanarySink(resolve))
    this.#reader.state = 'live'
  }

  /** Writes the entry to the reader as the hub writes an entry to any reader. */
  deliver(): void {
    new Delivery(0, entry, [[this.#reader]], null).run(() => false)
  }
}

const id = 'canary'

const entry: Entry = {
  position: 1 as Position,
  id,
  topics: [id],
  private: true,
  frame: encode({ data: id, type: null, retryMs: null }, id),
}

class CanarySink implements Sink {
  readonly isReady = true
  readonly waitingBytes = 0
  readonly #taken: () => void

  constructor(taken: () => void) {
    this.#taken = taken
  }

  write(frame: Frame): void {
    if (frame === entry.frame) this.#taken()
  }

  ready(): Promise<void> {
    return Promise.resolve()
  }

  close(): void {}
}
