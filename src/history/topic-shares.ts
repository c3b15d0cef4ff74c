/** The entries of a canonical topic. */
export interface TopicShare {
  readonly topic: string
  readonly rows: number
  readonly bytes: number
}

/** Counts which topics take most of a history. */
export class TopicShares {
  readonly #shares = new Map<string, { rows: number; bytes: number }>()

  add([topic = '']: readonly string[], bytes: number): void {
    const share = this.#shares.get(topic)
    if (share === undefined) this.#shares.set(topic, { rows: 1, bytes })
    else {
      share.rows++
      share.bytes += bytes
    }
  }

  /** The number of canonical topics, and the `top` of them by entries and by bytes. */
  result(top: number) {
    const shares = [...this.#shares].map(([topic, share]): TopicShare => ({ topic, ...share }))
    return {
      topicCount: shares.length,
      topicsByRows: shares.toSorted((a, b) => b.rows - a.rows || b.bytes - a.bytes).slice(0, top),
      topicsByBytes: shares.toSorted((a, b) => b.bytes - a.bytes || b.rows - a.rows).slice(0, top),
    }
  }
}
