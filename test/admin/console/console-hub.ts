import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Settings } from '../../../src/config/load.ts'
import { Server } from '../../../src/serve/server.ts'
import { Log } from '../../../src/telemetry/log.ts'
import { consoleMaterial, consoleToken } from '../../support/console-material.ts'
import { settingsOf } from '../../support/settings.ts'
import { secretOf } from '../../support/tokens.ts'
import { startWriter } from '../../transport/sqlite/log.ts'

const audience = 'https://hub.example/.well-known/mercure'

/** Settings of a hub with a console, and more flags. */
export function consoleSettings(folder: string, flags: readonly string[] = []): Settings {
  const key = { key: secretOf('issuer-a/both'), algorithm: 'HS256' }
  const issuers = [{ id: 'https://a.example', publisher: key, subscriber: key }]
  return settingsOf([
    ...['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--admin-console', '--hub-anonymous'],
    ...['--sqlite-path', join(folder, 'hub.db')],
    ...(flags.includes('--issuers') ? [] : ['--issuers', JSON.stringify(issuers)]),
    ...['--hub-resource-identifier', audience],
    ...(flags.includes('--admin-token') ? [] : ['--admin-token', consoleToken]),
    ...flags,
  ])
}

/** A hub with a console in this process. */
export class ConsoleHub {
  readonly server: Server
  readonly folder: string
  readonly #lines: string[]

  private constructor(server: Server, folder: string, lines: string[]) {
    this.server = server
    this.folder = folder
    this.#lines = lines
  }

  static async open(flags: readonly string[] = []): Promise<ConsoleHub> {
    const folder = mkdtempSync(join(tmpdir(), 'cinnabar-test-'))
    const lines: string[] = []
    const write = (line: string) => void lines.push(line)
    const log = new Log({ level: 'info', format: 'json', write, clock: () => new Date() })
    const settings = consoleSettings(folder, flags)
    const server = await Server.open(settings, log, startWriter, { build: {}, console: consoleMaterial })
    return new ConsoleHub(server, folder, lines)
  }

  /** The lines of the log so far. */
  get log(): string {
    return this.#lines.join('')
  }

  /** The lines about actions at the console. */
  get audit(): readonly Record<string, unknown>[] {
    return this.#lines.map((line) => JSON.parse(line)).filter(({ message }) => message === 'console')
  }

  get admin(): string {
    return this.server.adminAddress ?? ''
  }

  get hubUrl(): string {
    return `${this.server.addresses[0]}/.well-known/mercure`
  }

  fetch(path: string, init: RequestInit = {}, token: string | null = consoleToken): Promise<Response> {
    const headers = new Headers(init.headers)
    if (token !== null && !headers.has('Authorization')) headers.set('Authorization', `Bearer ${token}`)
    return fetch(`${this.admin}${path}`, { ...init, headers })
  }

  // biome-ignore lint/suspicious/noExplicitAny: a test compares what an answer holds.
  async get(path: string): Promise<any> {
    return await (await this.fetch(`/api/${path}`)).json()
  }

  post(path: string, body: unknown): Promise<Response> {
    const headers = { 'Content-Type': 'application/json' }
    return this.fetch(`/api/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  }

  // biome-ignore lint/suspicious/noExplicitAny: a test compares what an answer holds.
  async ask(path: string, body: unknown): Promise<any> {
    return await (await this.post(path, body)).json()
  }

  /** Publishes as the page does. */
  async publish(form: readonly (readonly [string, string])[]): Promise<Response> {
    const { token } = await this.ask('mint', { publish: ['*'], subscribe: [], ttl: 60 })
    return await this.post('request', { method: 'POST', token, form })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close(0)
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Reads the events of a feed until the condition holds, then leaves. */
export async function eventsUntil(response: Response, isEnough: (text: string) => boolean): Promise<string> {
  const reader = response.body?.getReader()
  if (reader === undefined) throw new Error('the answer has no body')
  const decoder = new TextDecoder()
  let text = ''
  while (!isEnough(text)) {
    const { value, done } = await reader.read()
    if (done) break
    text += decoder.decode(value, { stream: true })
  }
  await reader.cancel()
  return text
}
