import { metric, type RunningHub, until } from './binary.ts'
import { StreamClient } from './stream-client.ts'

/**
 * A reader of everything that resolves when it has all that the hub has after the id, without any new
 * publication, or when the hub has ended its stream. The hub must have no other reader that catches up.
 */
export async function catchUp(hub: RunningHub, lastEventId: string): Promise<StreamClient> {
  const before = await metric(hub, 'cinnabar_replayed_total')
  const reader = await StreamClient.open(`${hub.url}?match=*`, { 'Last-Event-ID': lastEventId })
  await until('the end of the replay', async () => {
    if ((await metric(hub, 'cinnabar_subscribers_replaying')) > 0) return false
    return before + reader.events.length >= (await metric(hub, 'cinnabar_replayed_total'))
  })
  return reader
}
