import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CrowdReader, openCrowd } from '../../src/bench/client/crowd.ts'
import { until } from '../../src/bench/client/until.ts'
import { type Contender, end, freePort, pin, plainTarget, processorUs, SERVER_CORE } from './contenders.ts'

const internal = '/usr/lib/pushpin/internal.conf'

/**
 * pushpin as Debian has it, or null where it is not installed. Its own test origin holds the streams, so that
 * nothing else runs on its core. It is published to on its control port, one connection for each.
 */
export async function findPushpin(): Promise<Contender | null> {
  if (Bun.which('pushpin') === null || !(await Bun.file(internal).exists())) return null
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cinnabar-pushpin-'))
    const [port, controlPort] = [freePort(), freePort()]
    await Bun.write(join(folder, 'routes'), '* test\n')
    await Bun.write(join(folder, 'pushpin.conf'), configuration(folder, port, controlPort))
    const child = Bun.spawn(['pushpin', `--config=${folder}/pushpin.conf`, '-m'], {
      stdio: ['ignore', 'ignore', 'ignore'],
    })
    const control = `http://127.0.0.1:${controlPort}/publish/`
    await until('pushpin', async () => (await fetch(control, { method: 'POST' }).catch(() => null)) !== null)
    const pids = (await Bun.$`pgrep -P ${child.pid}`.text()).trim().split('\n')
    for (const pid of pids) await pin(Number(pid), SERVER_CORE)
    const target = plainTarget(new URL(`http://127.0.0.1:${port}/`), '/stream', '/stream')
    return {
      target,
      pids,
      cpuPerDeliveryUs: (subscribers, durationMs) =>
        measure({ url: `${target.url.href}stream`, control, pids, subscribers, durationMs }),
      stop: async () => {
        await end(child, 'SIGTERM')
        await rm(folder, { recursive: true, force: true })
      },
    }
  }
}

interface Run {
  readonly url: string
  readonly control: string
  readonly pids: readonly string[]
  readonly subscribers: number
  readonly durationMs: number
}

/** One event at a time, each when the last one has reached everybody. */
async function measure({ url, control, pids, subscribers, durationMs }: Run): Promise<number> {
  const crowd = await openCrowd(subscribers, () => new CrowdReader(url))
  try {
    let events = 0
    const send = async () => {
      await publish(control, ++events)
      await until('the event', () => crowd.every(({ count }) => count >= events))
    }
    for (let n = 0; n < WARMUP; n++) await send()
    const [before, start] = [processorUs(pids), performance.now()]
    while (performance.now() - start < durationMs) await send()
    return (processorUs(pids) - before) / ((events - WARMUP) * subscribers)
  } finally {
    for (const reader of crowd) reader.stop()
  }
}

const WARMUP = 10
const DATA = 'x'.repeat(200)

async function publish(control: string, number: number): Promise<void> {
  const content = `id: x\nid: n${number}\ndata: ${DATA}\n\n`
  const items = [{ channel: 'test', formats: { 'http-stream': { content } } }]
  const { status } = await fetch(control, { method: 'POST', body: JSON.stringify({ items }) })
  if (status !== 200) throw new Error(`pushpin answered ${status}`)
}

/** Without its limit of messages per second, and with sockets of its own. */
function configuration(folder: string, port: number, controlPort: number): string {
  return `[global]
include=${internal}
rundir=${folder}
ipc_prefix=cinnabar-
[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:${port}
logdir=${folder}
log_level=1
client_maxconn=19000
[proxy]
routesfile=${folder}/routes
[handler]
push_in_http_addr=127.0.0.1
push_in_http_port=${controlPort}
push_in_spec=ipc://${folder}/push-in
push_in_sub_specs=ipc://${folder}/push-in-sub
command_spec=ipc://${folder}/command
message_rate=1000000
message_hwm=1000000
`
}
