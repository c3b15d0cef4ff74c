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
    const start = performance.now()
    let next = 0
    let accepted = 0
    const work = async (publisher: Publisher) => {
      while (!plan.isOver(next)) {
        const number = next++
        const dueAt = plan.rate === 0 ? performance.now() : start + (number * 1000) / plan.rate
        const sentAt = await waitUntil(dueAt)
        if (plan.isOver(number)) return
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

/**
 * The moment from which the time of a publication counts: when it is sent, or when it was due while the publisher
 * still waited for an answer, so that a hub that is behind does not hide it.
 */
async function waitUntil(dueAt: number): Promise<number> {
  const earlyMs = dueAt - performance.now()
  if (earlyMs <= 0) return dueAt
  await Bun.sleep(earlyMs)
  return performance.now()
}
