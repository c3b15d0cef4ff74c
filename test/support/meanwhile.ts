import { fetchMetric } from '../../src/bench/client/metrics.ts'

/**
 * A process of its own, since one that reads for 20,000 subscribers is busy with that: publishes to all of them,
 * and counts what the hub answers before the last of them is written to. Prints one count per publication.
 *
 *     bun meanwhile.ts HUB_URL ADMIN_URL TOKEN TOPIC SUBSCRIBERS PUBLICATIONS
 */
const [url = '', adminUrl = '', token = '', topic = '', subscribers, publications] = process.argv.slice(2)
const origin = new URL(url).origin
const counts: number[] = []
for (let n = 1; n <= Number(publications); n++) {
  await publish({ topic, id: `n${n}`, data: 'x'.repeat(200) })
  const all = n * Number(subscribers)
  let answered = 0
  while ((await deliveries()) < all) {
    await health()
    await publish({ topic: `${topic}/unread`, data: '' })
    if ((await deliveries()) < all) answered++
  }
  counts.push(answered)
}
console.log(JSON.stringify(counts))

async function health(): Promise<void> {
  const { status } = await fetch(`${origin}/healthz`)
  if (status !== 200) throw new Error(`the health check was answered ${status}`)
}

async function publish(fields: Record<string, string>): Promise<void> {
  const headers = { authorization: `Bearer ${token}` }
  const { status } = await fetch(url, { method: 'POST', body: new URLSearchParams(fields), headers })
  if (status !== 200) throw new Error(`publishing was answered ${status}`)
}

/** Counted when the last subscriber of a turn was written to. */
function deliveries(): Promise<number> {
  return fetchMetric(adminUrl, 'cinnabar_deliveries_total')
}
