import { readFileSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LocalHub } from '../../src/bench/client/local-hub.ts'
import { localProcess } from '../../src/bench/client/process.ts'
import {
  mercureTarget,
  publicationHead,
  subscriptionRequest,
  type Target,
} from '../../src/bench/client/target.ts'
import { until } from '../../src/bench/client/until.ts'
import { type Bench, type BenchOptions, Progress } from '../../src/bench/run.ts'
import { built, hubToken, startHub } from './hub.ts'

/** Something that delivers events, running on the core of the servers. */
export interface Running {
  readonly target: Target
  readonly pids: readonly string[]
  /**
   * Measures one event at a time by means of its own, in microseconds of processor time: for a server that is
   * not published to on a connection that stays open.
   */
  cpuPerDeliveryUs?(subscribers: number, durationMs: number): Promise<number>
  stop(): Promise<void>
}

/** Starts one. */
export type Contender = () => Promise<Running>

/** The cores that this process was given, as `taskset` names them. */
export function usableCores(): readonly string[] {
  const [, list = ''] = /^Cpus_allowed_list:\s+(\S+)/m.exec(processStatus) ?? []
  return list.split(',').flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 || 0 }, (_, index) => String(first + index))
  })
}

// As it was at the start: what is pinned later was given all of them.
const processStatus = readFileSync('/proc/self/status', 'utf8')

/** Servers have this core, the client has the other. */
export const [SERVER_CORE = '0', CLIENT_CORE = '1'] = usableCores()

/** Keeps the client off the core of the servers. */
export async function pinClient(): Promise<void> {
  await pin(process.pid, CLIENT_CORE)
}

/** Lets the client, and what it starts from then on, use all cores again. */
export async function freeClient(): Promise<void> {
  await pin(process.pid, usableCores().join(','))
}

/** The compiled hub, or another executable of one, with its default settings and those of the flags. */
export async function cinnabar(flags: readonly string[] = [], executable = built): Promise<Running> {
  return await cinnabarOf(await startHub({ executable, flags: ['--hub-anonymous', ...flags] }))
}

/** A hub that was started already. */
export async function cinnabarOf(hub: LocalHub): Promise<Running> {
  await pin(hub.pid, SERVER_CORE)
  const target = mercureTarget({
    url: new URL(hub.url),
    publishFields: { Authorization: `Bearer ${await hubToken()}` },
    subscribeFields: {},
    isLegacy: false,
  })
  return { target, pids: [String(hub.pid)], stop: () => hub.dispose() }
}

/** The loop in C, or null where there is no compiler. */
export async function findEpoll(): Promise<Contender | null> {
  if (Bun.which('cc') === null) return null
  const folder = await mkdtemp(join(tmpdir(), 'cinnabar-epoll-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const source = new URL('epoll.c', import.meta.url).pathname
  const executable = join(folder, 'epoll')
  const compiled = await Bun.$`cc -O2 -o ${executable} ${source}`.nothrow()
  if (compiled.exitCode !== 0) return null
  return async () => {
    const child = Bun.spawn([executable], { stdio: ['ignore', 'pipe', 'inherit'] })
    await pin(child.pid, SERVER_CORE)
    const port = await firstLine(child.stdout)
    const target = plainTarget(new URL(`http://127.0.0.1:${port}/`), '/', '/')
    return { target, pids: [String(child.pid)], stop: () => end(child) }
  }
}

/** nginx with nchan as Debian has them, or null where they are not installed. */
export async function findNchan(): Promise<Contender | null> {
  const module = '/usr/lib/nginx/modules/ngx_nchan_module.so'
  const nginx = Bun.which('nginx') ?? Bun.which('nginx', { PATH: '/usr/sbin' })
  if (nginx === null || !(await Bun.file(module).exists())) return null
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cinnabar-nchan-'))
    const port = freePort()
    const file = join(folder, 'nginx.conf')
    await Bun.write(file, nchanConfiguration(folder, module, port))
    const child = Bun.spawn([nginx, '-p', folder, '-c', file], { stdio: ['ignore', 'ignore', 'ignore'] })
    await pin(child.pid, SERVER_CORE)
    const target = plainTarget(new URL(`http://127.0.0.1:${port}/`), '/subscribe', '/publish')
    await until('nchan', async () => (await fetch(target.url).catch(() => null)) !== null)
    const stop = async () => {
      await end(child)
      await rm(folder, { recursive: true, force: true })
    }
    return { target, pids: [String(child.pid)], stop }
  }
}

/** One process, so that it has one core as the others have. */
function nchanConfiguration(folder: string, module: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `load_module ${module};
daemon off;
master_process off;
worker_rlimit_nofile 20000;
error_log ${folder}/error.log crit;
pid ${folder}/nginx.pid;
events { worker_connections 19000; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    keepalive_requests 1000000000;
    location = /publish { nchan_publisher; nchan_channel_id news; nchan_message_buffer_length 1000; }
    location = /subscribe {
      nchan_subscriber eventsource; nchan_channel_id news; nchan_subscriber_first_message newest;
    }
  }
}
`
}

/** A server with one channel that publishes the body of a POST as it is. */
export function plainTarget(url: URL, subscribePath: string, publishPath: string): Target {
  return {
    url,
    subscription: () => subscriptionRequest(url, subscribePath),
    publicationHead: publicationHead(url, publishPath),
    publication: (_, data) => data,
  }
}

/** A run on something that was started here. */
export function benchOf({ target, pids }: Running, options: Partial<BenchOptions>): Bench {
  return {
    target,
    options: { ...unused, ...options },
    local: localProcess(...pids),
    signal: new AbortController().signal,
    prefix: 'https://bench.example/standard/',
    progress: new Progress(null),
  }
}

const unused: BenchOptions = {
  subscribers: 1,
  publishers: 50,
  topics: 1,
  durationMs: 1000,
  warmupMs: 0,
  rate: 0,
  dataBytes: 200,
  updates: 0,
  last: 0,
  rounds: 5,
  lastEventId: null,
  topic: null,
}

/** Processor time that processes have taken, in microseconds. */
export function processorUs(pids: readonly string[]): number {
  return localProcess(...pids).cpuUs()
}

/** All threads that there are now; later ones inherit it. */
export async function pin(pid: number, core: string): Promise<void> {
  await Bun.$`taskset -acp ${core} ${pid}`.quiet()
}

/** Ends the process and waits for it. */
export async function end(child: Bun.Subprocess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  child.kill(signal)
  await child.exited
}

async function firstLine(output: ReadableStream<Uint8Array>): Promise<string> {
  const reader = output.getReader()
  const { value } = await reader.read()
  return new TextDecoder().decode(value).trim()
}

/** A port that nobody listens on. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } })
  const { port } = listener
  listener.stop(true)
  return port
}
