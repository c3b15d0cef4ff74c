import { Publisher } from './publisher.ts'
import { Publishers } from './publishers.ts'
import { mercureTarget, type Target } from './target.ts'

/** A publisher on a connection of its own that stays open. */
export function openPublisher(url: string, token: string): Promise<Publisher> {
  return Publisher.open(hubOf(url, token))
}

/** Publishers that number their publications from 0, across all calls of `publish`. */
export class Load {
  readonly #publishers: Publishers
  #next = 0

  private constructor(publishers: Publishers) {
    this.#publishers = publishers
  }

  static async open(url: string, token: string, connections: number): Promise<Load> {
    return new Load(await Publishers.open(hubOf(url, token), connections))
  }

  /**
   * Publishes `count` more, as fast as the hub answers. `form` makes the body of the publication with a number.
   * `onAccepted` is told the number of each that the hub accepted. Resolves when it has accepted all; rejects at the
   * first refusal.
   */
  async publish(
    count: number,
    form: (number: number) => string,
    onAccepted?: (number: number) => void,
  ): Promise<void> {
    const from = this.#next
    this.#next += count
    await this.#publishers.run({
      body: (number) => form(from + number),
      rate: 0,
      isOver: (number) => number >= count,
      onAccepted: (number) => onAccepted?.(from + number),
    })
  }

  close(): void {
    this.#publishers.close()
  }
}

function hubOf(url: string, token: string): Target {
  const publishFields = { Authorization: `Bearer ${token}` }
  return mercureTarget({ url: new URL(url), publishFields, subscribeFields: {}, isLegacy: false })
}
