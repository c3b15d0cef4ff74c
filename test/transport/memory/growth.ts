import { rawMemory } from '../../../src/serve/system/raw-memory.ts'
import { allocateBuffer } from '../../../src/transport/memory/stretch.ts'
import { MemoryTransport, memoryBytes } from '../../../src/transport/memory/transport.ts'
import { envelope, ruleFor, unlimited } from '../contract.ts'

/**
 * A process of its own, since what a test leaves behind is resident too: keeps 48 MiB of entries as the transport
 * counts them, and prints how many bytes of anonymous memory it has grown by for each of those.
 *
 *     bun growth.ts DATA_BYTES TOPICS PER_TOPIC
 */
const BYTES = 48 * 2 ** 20

const [size = '', topics = '', perTopic = ''] = process.argv.slice(2)
const all = Array.from({ length: Number(topics) }, (_, number) => `https://example.com/${number}`)
const rules = perTopic === '' ? [] : [{ ...ruleFor([], { perTopic: true }), test: () => true }]
const transport = new MemoryTransport({
  retention: { ...unlimited, rules },
  clock: () => 0,
  allocate: rawMemory() ?? allocateBuffer,
})
await transport.open(() => {})
const growing = async (untilBytes: number) => {
  while (bytes < untilBytes) {
    const update = envelope(`urn:uuid:${crypto.randomUUID()}`, Number(size), all[number++ % all.length])
    bytes += memoryBytes(update, rules.length > 0)
    await transport.append(update)
  }
}
let number = 0
let bytes = 0

// Code is compiled and pools are filled once.
await growing(BYTES / 16)
const [residentBefore, bytesBefore] = [await settledBytes(), bytes]
await growing(BYTES)
console.log(JSON.stringify(((await settledBytes()) - residentBefore) / (bytes - bytesBefore)))
await transport.close()

/** Anonymous memory of this process, once what is garbage has gone: the least of some looks. */
async function settledBytes(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < 8; look++) {
    Bun.gc(true)
    await Bun.sleep(100)
    const status = await Bun.file('/proc/self/status').text()
    least = Math.min(least, Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1]) * 1024)
  }
  return least
}
