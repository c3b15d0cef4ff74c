import { Publisher } from '../../src/bench/client/publisher.ts'
import { mercureTarget } from '../../src/bench/client/target.ts'

/** A publisher on a connection of its own that stays open. */
export function openPublisher(url: string, token: string): Promise<Publisher> {
  const publishFields = { Authorization: `Bearer ${token}` }
  return Publisher.open(
    mercureTarget({ url: new URL(url), publishFields, subscribeFields: {}, isLegacy: false }),
  )
}

/** Publishers that work side by side, and number what they publish. */
export class Load {
  readonly #publishers: readonly Publisher[]
  #next = 0

  private constructor(publishers: readonly Publisher[]) {
    this.#publishers = publishers
  }

  static async open(url: string, token: string, connections: number): Promise<Load> {
    return new Load(await Promise.all(Array.from({ length: connections }, () => openPublisher(url, token))))
  }

  /**
   * Publishes so many more, as fast as the hub answers. `onAccepted` is told the number of each that was
   * accepted. Resolves when all are; rejects at the first that is not.
   */
  async publish(
    count: number,
    form: (number: number) => string,
    onAccepted?: (number: number) => void,
  ): Promise<void> {
    const until = this.#next + count
    const post = async (publisher: Publisher) => {
      while (this.#next < until) {
        const number = this.#next++
        const { status } = await publisher.post(form(number))
        if (status !== 200) throw new Error(`publishing was answered ${status}`)
        onAccepted?.(number)
      }
    }
    await Promise.all(this.#publishers.map(post))
  }

  close(): void {
    for (const publisher of this.#publishers) publisher.close()
  }
}
