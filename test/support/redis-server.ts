import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../../src/bench/client/until.ts'
import { Connection } from '../../src/transport/redis/connection.ts'
import { parseServerUrl, type ServerOptions } from '../../src/transport/redis/server.ts'
import { freePort } from './ports.ts'
import { BreakableProxy } from './proxy.ts'

/** How a server runs. */
export interface RedisServerOptions {
  /** Whether it keeps a journal, so that it loses nothing at a restart. */
  readonly isDurable?: boolean
  /** Further arguments of the command line. */
  readonly args?: readonly string[]
  /** Arguments that stand before all others, in place of those of a server with data, for its folder. */
  readonly arrange?: (folder: string) => readonly string[]
  /** The program; by default that of the environment, or Debian's. */
  readonly program?: string
}

/** A real server on a port of its own, in a folder of its own, which the test ends. */
export class RedisServer {
  readonly folder: string
  readonly port: number
  readonly #options: RedisServerOptions
  #process: ReturnType<typeof Bun.spawn> | null = null

  private constructor(folder: string, port: number, options: RedisServerOptions) {
    this.folder = folder
    this.port = port
    this.#options = options
  }

  /** Starts a server and resolves when it answers. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), 'cinnabar-redis-'))
    const server = new RedisServer(folder, freePort(), options)
    try {
      await server.run()
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Runs the program, again after `kill`. Resolves when it answers. */
  async run(): Promise<void> {
    const { isDurable = false, args = [], program = redisProgram() } = this.#options
    const journal = isDurable ? 'yes' : 'no'
    const first = this.#options.arrange?.(this.folder) ?? ['--save', '', '--appendonly', journal]
    const own = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder]
    this.#process = Bun.spawn([program, ...first, ...own, ...args], {
      stdout: 'ignore',
      stderr: 'ignore',
    })
    await until('the server answers', () => this.isUp())
  }

  /** Whether it answers, be it that it wants a password. */
  async isUp(): Promise<boolean> {
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: this.port,
      socket: { data() {} },
    }).catch(() => null)
    socket?.end()
    if (socket === null) return false
    // A server that loads its journal answers anything else with an error.
    return await this.command('PING').then(
      () => true,
      (error) => !String(error).includes('LOADING'),
    )
  }

  /** The answer to one command, on a connection of its own. */
  async command(...args: readonly string[]): Promise<unknown> {
    const connection = await Connection.open(this.options().place, this.options())
    try {
      return await connection.call(args, 5000)
    } finally {
      connection.destroy()
    }
  }

  /** How a log reaches it. */
  options(more: Partial<ServerOptions> = {}): ServerOptions {
    return serverOptions(this.url, more)
  }

  /** Ends the process at once, in the middle of everything. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL')
    await this.#process?.exited
    this.#process = null
  }

  /** Stops the process, which then answers nobody, until `resume`. */
  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A Sentinel that watches the server at this port as `cinnabar`, and decides alone. */
export async function startSentinel(port: number): Promise<RedisServer> {
  const watched = [
    `sentinel monitor cinnabar 127.0.0.1 ${port} 1`,
    'sentinel down-after-milliseconds cinnabar 500',
    'sentinel failover-timeout cinnabar 3000',
  ]
  const arrange = (folder: string) => {
    const file = join(folder, 'sentinel.conf')
    writeFileSync(file, `${watched.join('\n')}\n`)
    return [file]
  }
  return await RedisServer.start({ arrange, args: ['--sentinel'] })
}

/** A network before the server that breaks on command, and how a log reaches the server through it. */
export async function openCable(server: RedisServer, more: Partial<ServerOptions> = {}) {
  const network = await BreakableProxy.open(`http://127.0.0.1:${server.port}`)
  const options = serverOptions(network.origin.replace('http:', 'redis:'), more)
  return { network, options }
}

/** How a log reaches the server of this URL, as the settings would say it. */
export function serverOptions(url: string, more: Partial<ServerOptions> = {}): ServerOptions {
  return {
    ...parseServerUrl(url),
    sentinels: [],
    sentinelName: 'cinnabar',
    ca: null,
    timeoutMs: 5000,
    ...more,
  }
}

/** The program that tests run: Valkey where the environment names it, else Debian's Redis. */
export function redisProgram(): string {
  return process.env['VALKEY_SERVER'] ?? 'redis-server'
}

/** Whether that program was built with TLS: it then ends for want of a certificate, and else for want of TLS. */
export function knowsTls(): boolean {
  const { stdout } = Bun.spawnSync([redisProgram(), '-'], { stdin: Buffer.from('port 0\ntls-port 1\n') })
  return String(stdout).includes('tls-cert-file')
}
