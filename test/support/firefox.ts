import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { until } from './binary.ts'

const executable = '/usr/bin/firefox-esr'

export interface FirefoxOptions {
  readonly theme?: 'light' | 'dark'
  readonly width?: number
  readonly height?: number
}

/**
 * One tab of Debian's Firefox without a window, by WebDriver BiDi: playwright-core sends commands that this release does
 * not know. Everything is asked by expressions that run in the page.
 */
export class Firefox {
  /** What pages wrote to the console, and what they threw. */
  readonly problems: string[] = []
  readonly #process: Bun.Subprocess<'ignore', 'ignore', 'pipe'>
  readonly #profile: string
  readonly #socket: WebSocket
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>()
  #tab = ''
  #last = 0

  private constructor(process: Bun.Subprocess<'ignore', 'ignore', 'pipe'>, profile: string, url: string) {
    this.#process = process
    this.#profile = profile
    this.#socket = new WebSocket(`${url}/session`)
    this.#socket.onmessage = ({ data }) => this.#receive(v.parse(messageSchema, JSON.parse(String(data))))
    this.#socket.onclose = () => this.#fail(new Error('Firefox is gone'))
  }

  static async launch({
    theme = 'light',
    width = 1360,
    height = 900,
  }: FirefoxOptions = {}): Promise<Firefox> {
    if (!existsSync(executable)) throw new Error('firefox-esr is missing: apt-get install firefox-esr')
    const profile = mkdtempSync(join(tmpdir(), 'cinnabar-firefox-'))
    writeFileSync(join(profile, 'user.js'), preferences(theme))
    const process = Bun.spawn(
      [executable, '--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { HOME: profile, PATH: '/usr/bin:/bin' } },
    )
    try {
      const firefox = new Firefox(process, profile, await addressOf(process.stderr))
      await firefox.#open({ width, height })
      return firefox
    } catch (error) {
      process.kill('SIGKILL')
      await process.exited
      rmSync(profile, { recursive: true, force: true })
      throw error
    }
  }

  async #open(viewport: { readonly width: number; readonly height: number }): Promise<void> {
    await until('the session', () => this.#socket.readyState === WebSocket.OPEN)
    await this.#send('session.new', { capabilities: {} })
    await this.#send('session.subscribe', { events: ['log.entryAdded'] })
    const { context } = v.parse(tabSchema, await this.#send('browsingContext.create', { type: 'tab' }))
    this.#tab = context
    await this.#send('browsingContext.setViewport', { context, viewport })
  }

  async goto(url: string): Promise<void> {
    await this.#send('browsingContext.navigate', { context: this.#tab, url, wait: 'complete' })
  }

  /** The value of an expression in the page, a promise's included, which has to be plain JSON. Throws what it throws. */
  async evaluate(expression: string): Promise<unknown> {
    const { exceptionDetails, result } = v.parse(
      resultSchema,
      await this.#send('script.evaluate', {
        expression: `(async () => JSON.stringify(await (${expression})))()`,
        target: { context: this.#tab },
        awaitPromise: true,
      }),
    )
    if (result === undefined) throw new Error(exceptionDetails?.text ?? 'no result')
    return result.value === undefined ? undefined : JSON.parse(result.value)
  }

  /** Resolves when the expression is true in the page. */
  async waitFor(expression: string): Promise<void> {
    await until(expression, async () => (await this.evaluate(`Boolean(${expression})`)) === true)
  }

  /** Resolves when the selector finds an element, whose text has the words. */
  async waitForElement(selector: string, text = ''): Promise<void> {
    const found = `[...document.querySelectorAll(${JSON.stringify(selector)})]`
    await this.waitFor(`${found}.some(({ textContent }) => textContent.includes(${JSON.stringify(text)}))`)
  }

  async close(): Promise<void> {
    const patience = setTimeout(() => this.#process.kill('SIGKILL'), 10_000)
    await this.#send('browser.close', {}).catch(() => this.#process.kill('SIGKILL'))
    await this.#process.exited
    clearTimeout(patience)
    rmSync(this.#profile, { recursive: true, force: true })
  }

  async #send(method: string, params: unknown): Promise<unknown> {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error('Firefox is gone')
    const id = ++this.#last
    const answer = Promise.withResolvers<unknown>()
    this.#answers.set(id, answer)
    this.#socket.send(JSON.stringify({ id, method, params }))
    return await answer.promise
  }

  #receive({ id, method, params, result, error, message }: v.InferOutput<typeof messageSchema>): void {
    if (method === 'log.entryAdded') this.problems.push(params?.text ?? '')
    if (id === undefined) return
    const answer = this.#answers.get(id)
    this.#answers.delete(id)
    if (error === undefined) answer?.resolve(result)
    else answer?.reject(new Error(`${error}: ${message}`))
  }

  #fail(error: Error): void {
    for (const answer of this.#answers.values()) answer.reject(error)
    this.#answers.clear()
  }
}

/** The theme of the system, and nothing that asks the network. */
function preferences(theme: 'light' | 'dark'): string {
  const values: Record<string, unknown> = {
    'layout.css.prefers-color-scheme.content-override': theme === 'dark' ? 0 : 1,
    'app.update.enabled': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'browser.safebrowsing.malware.enabled': false,
    'browser.safebrowsing.phishing.enabled': false,
  }
  return Object.entries(values)
    .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
    .join('')
}

async function addressOf(stderr: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let said = ''
  for await (const chunk of stderr) {
    said += decoder.decode(chunk, { stream: true })
    const address = /WebDriver BiDi listening on (ws:\S+)\n/.exec(said)?.[1]
    if (address !== undefined) return address
  }
  throw new Error(`Firefox does not start: ${said}`)
}

const messageSchema = v.object({
  id: v.optional(v.number()),
  method: v.optional(v.string()),
  params: v.optional(v.object({ text: v.nullish(v.string()) })),
  result: v.optional(v.unknown()),
  error: v.optional(v.string()),
  message: v.optional(v.string()),
})
const tabSchema = v.object({ context: v.string() })
const resultSchema = v.object({
  result: v.optional(v.object({ value: v.optional(v.string()) })),
  exceptionDetails: v.optional(v.object({ text: v.string() })),
})
