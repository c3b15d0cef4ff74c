import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fetchMetric } from '../../../src/bench/client/metrics.ts'
import { binaryPath, until } from '../binary.ts'
import { temporaryFolder } from '../certificates.ts'
import { freePort, isListening } from '../ports.ts'

/** Ports that pages name: of the hub, of its admin listener, and of an application beside it. */
const namedPorts = ['3000', '3001', '8000'] as const

/** How a sample ended. */
export interface StageEnd {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** A machine for the samples of one page: a folder, ports that nobody else has, and `cinnabar` on the PATH. */
export class Stage {
  readonly path: string
  /** What the last run, or the reader that was started last, has printed. */
  printed: () => string = () => ''
  readonly #ports: ReadonlyMap<string, number>
  readonly #children: Bun.Subprocess[] = []
  readonly #dispose: () => Promise<void>

  private constructor(path: string, dispose: () => Promise<void>) {
    this.path = path
    this.#dispose = dispose
    this.#ports = new Map(namedPorts.map((named) => [named, freePort()]))
  }

  static async open(): Promise<Stage> {
    const { path, dispose } = await temporaryFolder()
    const stage = new Stage(path, dispose)
    await mkdir(join(path, 'bin'))
    await writeFile(join(path, 'bin/cinnabar'), stage.#launcher())
    await chmod(join(path, 'bin/cinnabar'), 0o755)
    return stage
  }

  /** The text of a sample with the ports and the folders of this stage in place of those that it names. */
  placed(text: string): string {
    return text
      .replaceAll(/\b(?:3000|3001|8000)\b/g, (named) => String(this.port(named)))
      .replaceAll(/(?<![\w.])\/(?=(?:etc|var\/lib)\/cinnabar\b)/g, `${this.path}/`)
  }

  /** The port that stands for the one that pages name. */
  port(named: string): number {
    const port = this.#ports.get(named)
    if (port === undefined) throw new Error(`a page may name the ports ${namedPorts.join(', ')} only`)
    return port
  }

  async write(name: string, text: string): Promise<void> {
    await mkdir(dirname(join(this.path, name)), { recursive: true })
    await writeFile(join(this.path, name), this.placed(text))
  }

  /** Runs lines as a shell does, and stops at the first that fails. */
  async run(script: string): Promise<StageEnd> {
    const child = this.#spawn(script)
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    this.printed = () => out
    return { code: await child.exited, out, err }
  }

  /** Starts a program that goes on, and resolves when the port answers; of a hub, that of its admin listener too. */
  async start(script: string, port: string): Promise<void> {
    const { child, written } = this.#keep(script)
    for (const named of port === '3000' ? ['3000', '3001'] : [port])
      await until(`an answer of port ${named}`, async () => {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${written.all}`)
        return await isListening(this.port(named), 'localhost')
      })
  }

  /** Starts a reader of the hub, and resolves when the hub counts one more. */
  async follow(script: string): Promise<void> {
    const before = await this.#readers()
    const { child, written } = this.#keep(script)
    this.printed = () => written.out
    await until('one more reader', async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${written.all}`)
      return (await this.#readers()) > before
    })
  }

  async dispose(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      // Of all that the shell has started: it is the leader of a group.
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGTERM')
      await child.exited
    }
    await this.#dispose()
  }

  #readers(): Promise<number> {
    return fetchMetric(`http://127.0.0.1:${this.port('3001')}`, 'mercure_subscribers_total')
  }

  #keep(script: string) {
    const child = this.#spawn(`${script.includes('\n', script.indexOf('\n') + 1) ? '' : 'exec '}${script}`)
    const written = { out: '', all: '' }
    const read = async (from: ReadableStream<Uint8Array>, isOut: boolean) => {
      const decoder = new TextDecoder()
      for await (const chunk of from) {
        const text = decoder.decode(chunk, { stream: true })
        written.all += text
        if (isOut) written.out += text
      }
    }
    void read(child.stdout, true)
    void read(child.stderr, false)
    return { child, written }
  }

  #spawn(script: string) {
    const child = Bun.spawn(['sh', '-euc', this.placed(script)], {
      cwd: this.path,
      env: {
        PATH: `${this.path}/bin:/usr/bin:/usr/local/go/bin:${process.env['PATH'] ?? ''}`,
        // Where compilers and interpreters put what they make.
        HOME: this.path,
        CHECKOUT: new URL('../../../', import.meta.url).pathname,
        GOCACHE: '/tmp/cinnabar-pages-go',
        GOTOOLCHAIN: 'local',
        LANG: 'C.UTF-8',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#children.push(child)
    return child
  }

  /** The executable, at the ports of this stage where a command takes those of a usual hub. */
  #launcher(): string {
    const hub = `http://localhost:${this.port('3000')}/.well-known/mercure`
    return `#!/bin/sh
# The place where every command looks.
[ -e '${this.path}/etc/cinnabar/cinnabar.toml' ] && export CINNABAR_CONFIG='${this.path}/etc/cinnabar/cinnabar.toml'
case $1 in
  publish | subscribe | bench)
    case "$*" in *--hub*) ;; *) exec '${binaryPath()}' "$@" --hub '${hub}' ;; esac ;;
  serve | health | token)
    export CINNABAR_LISTEN=localhost:${this.port('3000')} CINNABAR_ADMIN_LISTEN=127.0.0.1:${this.port('3001')} ;;
esac
exec '${binaryPath()}' "$@"
`
  }
}

/** Whether the text is the expected one, whatever its line breaks, in which `…` stands for anything. */
export function isPrinted(text: string, expected: string): boolean {
  const parts = expected
    .trim()
    .split('…')
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('[\\s\\S]*?')}$`).test(text.replaceAll('\r', '').trim())
}
