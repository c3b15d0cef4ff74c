/**
 * The log on a server beside the log in a file, in the same rounds on the same machine: the goals of docs/cluster.md. Run
 * it as `bun scripts/bench/cluster.ts [--rounds N]` after `sh scripts/build.sh`, where `redis-server` is installed and
 * nothing else runs. It takes two minutes a round and prints a table. Read ratios: hubs, server and load share the cores.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LocalHub } from '../../src/bench/client/local-hub.ts'
import { localProcess } from '../../src/bench/client/process.ts'
import { until } from '../../src/bench/client/until.ts'
import { encode } from '../../src/protocol/event-stream.ts'
import { Connection } from '../../src/transport/redis/connection.ts'
import { parseServerUrl, type ServerOptions } from '../../src/transport/redis/server.ts'
import { RedisTransport } from '../../src/transport/redis/transport.ts'
import { built, hubToken, startHub } from './hub.ts'

const PORT = 17_391
const rounds = Number(optionOf('--rounds') ?? 3)
const figures = new Map<string, number[]>()

for (let round = 1; round <= rounds; round++) {
  await publishing()
  await fanOut()
  await replaying()
  await transportAlone()
  console.error(`${round}/${rounds}`)
}
const middle = (name: string) => {
  const values = (figures.get(name) ?? []).toSorted((a, b) => a - b)
  return values[Math.floor(values.length / 2)] ?? Number.NaN
}
const rows: readonly (readonly [what: string, goal: string, measured: string])[] = [
  [
    '50 publishers, one hub, updates per second',
    'at least that of SQLite in the same run',
    `${whole('publish redis')} against ${whole('publish sqlite')}`,
  ],
  [
    'processor time for an update: server, publishing hub, another hub',
    '25 us, -, 8 us',
    `${tenth('server us')} us, ${tenth('publisher us')} us, ${tenth('other us')} us`,
  ],
  [
    'fan-out to 1,000, of `memory`',
    'at most 1.25',
    (middle('fanout redis') / middle('fanout memory')).toFixed(2),
  ],
  ['replay of 10,000 of 100,000', '60 ms', `${tenth('replay')} ms`],
  ['the transport alone, 50 at once, per second', '25,000', `${whole('alone')}`],
  [
    'one at a time, above the round trip, p50',
    '0.3 ms',
    `${(middle('one') - middle('round trip')).toFixed(2)} ms`,
  ],
  ['longest script with updates of 1 MiB', '40 ms', `${tenth('longest large')} ms`],
  ['longest script while 100,000 entries expire', '5 ms', `${tenth('longest expiry')} ms`],
]
console.log('| what | goal | measured |\n|---|---|---|')
for (const row of rows) console.log(`| ${row.join(' | ')} |`)

async function publishing(): Promise<void> {
  for (const [kind, count] of [
    ['sqlite', 1],
    ['redis', 1],
    ['redis', 2],
  ] as const) {
    await using scene = await open(kind, count)
    const [hub, other] = scene.hubs
    if (hub === undefined) throw new Error('no hub')
    const before = cpuOf(scene)
    const report = await bench(hub, 'publish', ['--duration', '5s'])
    if (count === 1) note(`publish ${kind}`, report['publishes_per_second'])
    if (other === undefined || scene.server === null) continue
    const after = cpuOf(scene)
    // The warm-up costs as well, and its updates are among those of the log.
    const total = Number((await scene.server.call(['HGET', '{cinnabar}:meta', 'head'], 5000)) ?? 0)
    const perUpdate = (at: number) => ((after[at] ?? 0) - (before[at] ?? 0)) / total
    note('server us', perUpdate(0))
    note('publisher us', perUpdate(1))
    note('other us', perUpdate(2))
  }
}

async function fanOut(): Promise<void> {
  for (const kind of ['memory', 'redis'] as const) {
    await using scene = await open(kind, 1)
    const [hub] = scene.hubs
    if (hub === undefined) throw new Error('no hub')
    const report = await bench(hub, 'fanout', ['--subscribers', '1000', '--duration', '5s'])
    note(`fanout ${kind}`, 1e6 / Number(report['deliveries_per_second']))
  }
}

async function replaying(): Promise<void> {
  await using scene = await open('redis', 1)
  const [hub] = scene.hubs
  if (hub === undefined) throw new Error('no hub')
  const report = await bench(hub, 'replay', ['--updates', '100000', '--last', '10000'])
  note('replay', report['last_event_ms'])
}

async function transportAlone(): Promise<void> {
  await using scene = await open('redis', 0)
  const log = await openLog('alone')
  const small = envelope(250)
  await appendAll(log, 10_000, 50, () => small())
  let start = performance.now()
  await appendAll(log, 50_000, 50, () => small())
  note('alone', 50_000 / ((performance.now() - start) / 1000))
  const times: number[] = []
  for (let n = 0; n < 1000; n++) {
    start = performance.now()
    await log.append(small())
    times.push(performance.now() - start)
  }
  note('one', times.toSorted((a, b) => a - b)[500])
  const trips: number[] = []
  for (let n = 0; n < 1000; n++) {
    start = performance.now()
    await scene.server?.call(['PING'], 5000)
    trips.push(performance.now() - start)
  }
  note('round trip', trips.toSorted((a, b) => a - b)[500])
  await log.close()
  await watchScripts(scene)
  const large = await openLog('large')
  const huge = envelope(1 << 20)
  await appendAll(large, 100, 10, () => huge())
  await large.close()
  note('longest large', await longestScript(scene))
  await watchScripts(scene)
  let now = Date.now()
  const old = await openLog('old', { maxAgeMs: 60_000, clock: () => now })
  await appendAll(old, 100_000, 500, () => small())
  await watchScripts(scene)
  now += 60_000
  await until('the expiry', async () => {
    await old.prune()
    return (await old.stats()).rows === 0
  })
  await old.close()
  note('longest expiry', await longestScript(scene))
}

interface Scene {
  readonly hubs: readonly LocalHub[]
  readonly server: Connection | null
  readonly serverPid: number
  [Symbol.asyncDispose](): Promise<void>
}

/** A server where the log is on one, and hubs on it. */
async function open(kind: 'sqlite' | 'memory' | 'redis', count: number): Promise<Scene> {
  const stack = new AsyncDisposableStack()
  let server: Connection | null = null
  let serverPid = 0
  if (kind === 'redis') {
    const folder = await mkdtemp(join(tmpdir(), 'cinnabar-bench-redis-'))
    stack.defer(() => rm(folder, { recursive: true, force: true }))
    const child = Bun.spawn(
      ['redis-server', '--port', String(PORT), '--dir', folder, '--save', '', '--appendonly', 'yes'],
      { stdout: 'ignore', stderr: 'ignore' },
    )
    stack.defer(async () => {
      child.kill('SIGKILL')
      await child.exited
    })
    serverPid = child.pid
    await until('the server answers', async () => {
      server = await Connection.open(serverOptions().place, serverOptions()).catch(() => null)
      return server !== null
    })
  }
  const flags =
    kind === 'redis' ? ['--redis-url', `redis://127.0.0.1:${PORT}`] : ['--sqlite-path', 'cinnabar.db']
  const hubs: LocalHub[] = []
  for (let at = 0; at < count; at++) {
    hubs.push(stack.use(await startHub({ flags: ['--transport', kind, ...flags, '--hub-anonymous'] })))
  }
  return { hubs, server, serverPid, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

function serverOptions(): ServerOptions {
  const parsed = parseServerUrl(`redis://127.0.0.1:${PORT}`)
  return { ...parsed, sentinels: [], sentinelName: '', ca: null, timeoutMs: 30_000 }
}

async function openLog(
  prefix: string,
  { maxAgeMs = null, clock = null }: { maxAgeMs?: number | null; clock?: (() => number) | null } = {},
): Promise<RedisTransport> {
  const log = new RedisTransport({
    server: serverOptions(),
    prefix,
    retention: { maxCount: 100_000, maxAgeMs, maxBytes: 1 << 30 },
    compile: () => {
      throw new Error('there are no rules')
    },
    replicas: 0,
    clock,
    notify: () => {},
    onBatch: () => {},
  })
  await log.open(
    () => {},
    () => {},
  )
  return log
}

function envelope(bytes: number) {
  const data = 'x'.repeat(bytes)
  return () => {
    const id = `urn:uuid:${crypto.randomUUID()}`
    return { id, topics: ['bench'], private: false, frame: encode({ data, type: null, retryMs: null }, id) }
  }
}

async function appendAll(
  log: RedisTransport,
  count: number,
  together: number,
  make: () => ReturnType<ReturnType<typeof envelope>>,
): Promise<void> {
  let left = count
  const work = async () => {
    while (left-- > 0) await log.append(make())
  }
  await Promise.all(Array.from({ length: together }, work))
}

/** From now on the server notes how long each script takes. */
async function watchScripts({ server }: Scene): Promise<void> {
  await server?.call(['CONFIG', 'SET', 'slowlog-log-slower-than', '500'], 5000)
  await server?.call(['CONFIG', 'SET', 'slowlog-max-len', '10000'], 5000)
  await server?.call(['SLOWLOG', 'RESET'], 5000)
}

/** The longest since then, in milliseconds of the clock: on a machine that is busy otherwise it says little. */
async function longestScript({ server }: Scene): Promise<number> {
  const slow = await server?.call(['SLOWLOG', 'GET', '10000'], 5000)
  const times = Array.isArray(slow) ? slow.map((entry) => Number(Array.isArray(entry) ? entry[2] : 0)) : []
  return Math.max(0, ...times) / 1000
}

/** Processor time of the server and of each hub, in microseconds. */
function cpuOf({ serverPid, hubs }: Scene): readonly number[] {
  return [serverPid, ...hubs.map(({ pid }) => pid)].map((pid) => (pid === 0 ? 0 : localProcess(pid).cpuUs()))
}

async function bench(
  hub: LocalHub,
  what: string,
  more: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const words = ['bench', what, '--hub', hub.url, '--token', await hubToken(), '--json', ...more]
  const child = Bun.spawn([built, ...words], { stdout: 'pipe', stderr: 'inherit' })
  const text = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error(`bench ${what} failed`)
  return JSON.parse(text)
}

function note(name: string, value: unknown): void {
  console.error(`${name.padEnd(20)} ${value}`)
  figures.set(name, [...(figures.get(name) ?? []), Number(value)])
}

function whole(name: string): string {
  return Math.round(middle(name)).toLocaleString('en')
}

function tenth(name: string): string {
  return middle(name).toFixed(1)
}

function optionOf(name: string): string | undefined {
  const at = process.argv.indexOf(name)
  return at === -1 ? undefined : process.argv[at + 1]
}
