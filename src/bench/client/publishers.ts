import { CommandFailure } from '../../command/command.ts'
import { reasonOf } from '../../command/failure.ts'
import { explainRefusal } from '../../command/hub-request.ts'
import { Latency } from './latency.ts'
import { Publisher } from './publisher.ts'
import { stamped } from './stamp.ts'
import type { Target } from './target.ts'

/** The work of publishers. */
export interface PublishPlan {
  /**
   * The request body of the publication with this number, from 0; ASCII only. Its time counts from `sentAt`, in
   * milliseconds of `performance.now`.
   */
  body(number: number, sentAt: number): string
  /** Asked before each publication. */
  isOver(number: number): boolean
  /** Publications per second in sum; 0: each as soon as the one before it was answered. */
  readonly rate: number
  /** Told the id that the hub gave. */
  onAccepted?(number: number, id: string): void
  /** Awaited after each answer, before the publisher goes on. */
  pause?(accepted: number): Promise<void>
}

/** Bodies that say when they were sent, for readers that take the time. `topic` names the topic of a number. */
export function stampedBody(target: Target, dataBytes: number, topic: (number: number) => string) {
  return (number: number, sentAt: number) => target.publication(topic(number), stamped(sentAt, dataBytes))
}

/** Publishers that work side by side, each on its own connection. */
export class Publishers {
  readonly #publishers: readonly Publisher[]
  /** From sending a publication to its answer. */
  readonly answers = new Latency()

  private constructor(publishers: readonly Publisher[]) {
    this.#publishers = publishers
  }

  /** Throws a `CommandFailure` when the hub cannot be reached. */
  static async open(target: Target, count: number): Promise<Publishers> {
    const opening = Array.from({ length: count }, () => Publisher.open(target))
    const publishers = await Promise.all(opening).catch((error) => {
      throw new CommandFailure(`${target.url.origin} does not answer: ${reasonOf(error)}`)
    })
    return new Publishers(publishers)
  }

  /** Resolves with the number of accepted publications. Throws a `CommandFailure` at the first refusal. */
  async run(plan: PublishPlan): Promise<number> {
    const turns = new Turns(plan)
    let accepted = 0
    const work = async (publisher: Publisher) => {
      for (let turn = await turns.next(); turn !== null; turn = await turns.next()) {
        const { number, sentAt } = turn
        const id = await this.#publish(publisher, plan, number, sentAt)
        accepted++
        plan.onAccepted?.(number, id)
        await plan.pause?.(accepted)
      }
    }
    await Promise.all(this.#publishers.map(work))
    return accepted
  }

  close(): void {
    for (const publisher of this.#publishers) publisher.close()
  }

  async #publish(publisher: Publisher, plan: PublishPlan, number: number, sentAt: number): Promise<string> {
    const { status, body: id } = await publisher.post(plan.body(number, sentAt)).catch((error) => {
      throw new CommandFailure(`publishing failed: ${reasonOf(error)}`)
    })
    if (status < 200 || status > 202) {
      throw new CommandFailure(`publishing: ${explainRefusal(new Response(null, { status }))}`)
    }
    this.answers.record(1000 * (performance.now() - sentAt))
    return id
  }
}

interface Turn {
  readonly number: number
  /**
   * The moment from which the time of a publication counts: the one at which it is sent, or the one at which it was due
   * while the publisher still waited for an answer, so that a hub that is behind does not hide it.
   */
  readonly sentAt: number
}

/**
 * Hands out the numbers of publications when they are due. Only the first publisher in the queue waits for the clock:
 * when the work is over, no other one waits for a moment after its end.
 */
class Turns {
  readonly #plan: PublishPlan
  readonly #start = performance.now()
  #next = 0
  #queue: Promise<unknown> = Promise.resolve()

  constructor(plan: PublishPlan) {
    this.#plan = plan
  }

  /** The next turn, or null when the work is over. */
  async next(): Promise<Turn | null> {
    if (this.#plan.rate === 0) return this.#take(performance.now())
    const turn = this.#queue.then(() => this.#nextDue())
    this.#queue = turn
    return await turn
  }

  async #nextDue(): Promise<Turn | null> {
    const dueAt = this.#start + (this.#next * 1000) / this.#plan.rate
    let now = performance.now()
    if (now >= dueAt) return this.#take(dueAt)
    for (; now < dueAt; now = performance.now()) {
      if (this.#plan.isOver(this.#next)) return null
      await Bun.sleep(Math.min(dueAt - now, LOOK_MS))
    }
    return this.#take(now)
  }

  #take(sentAt: number): Turn | null {
    return this.#plan.isOver(this.#next) ? null : { number: this.#next++, sentAt }
  }
}

/** Milliseconds after which a publisher that waits sees that the work is over. */
const LOOK_MS = 100
