import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser } from 'playwright-core'
import { localProcess } from '../../src/bench/client/process.ts'
import { binaryPath, type RunningHub, startHub, until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'
import { consoleToken } from '../support/console-material.ts'
import {
  consolePages,
  goTo,
  openConsole,
  publishTo,
  startConsoleHub,
  tokenForAll,
} from '../support/console-page.ts'
import { RedisServer } from '../support/redis-server.ts'
import { StreamClient } from '../support/stream-client.ts'

/** The console of the compiled hub, in a browser. */

const topic = 'https://shop.example/orders/48213'

let browser: Browser
let hub: RunningHub
beforeAll(async () => {
  browser = await launchBrowser()
  hub = await startConsoleHub()
})
afterAll(async () => {
  await browser.close()
  await hub.dispose()
})

// A test that failed has left its page open, and with it a feed.
afterEach(async () => {
  for (const context of browser.contexts()) await context.close()
})

const api = (path: string, init: RequestInit = {}) =>
  fetch(`${hub.adminUrl}/api/${path}`, {
    ...init,
    headers: { Authorization: `Bearer ${consoleToken}`, 'Content-Type': 'application/json' },
  })

describe('the way in', () => {
  test('the address that --dev prints opens the overview, and no token is left in the address', async () => {
    const dev = Bun.spawn(
      [
        binaryPath(),
        'serve',
        '--dev',
        '--listen',
        '127.0.0.1:0',
        '--admin-listen',
        '127.0.0.1:0',
        '--transport',
        'memory',
      ],
      { cwd: hub.directory, env: { CINNABAR_CONFIG: '' }, stdio: ['ignore', 'pipe', 'ignore'] },
    )
    try {
      let out = ''
      for await (const chunk of dev.stdout) {
        out += new TextDecoder().decode(chunk)
        if (out.includes('\nToken:')) break
      }
      const address = /^Console: (\S+)$/m.exec(out)?.[1] ?? ''
      expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{43}$/)
      const page = await browser.newPage()
      await page.goto(address)
      await page.waitForSelector('.tile')
      expect(page.url()).toBe(`${new URL(address).origin}/#/overview`)
      await page.close()
    } finally {
      dev.kill()
      await dev.exited
    }
  })

  test('a wrong token leads back to signing in, and the right one in', async () => {
    const page = await browser.newPage()
    await page.goto(`${hub.adminUrl}/`)
    await page.getByLabel('Token').fill('a-wrong-token-of-more-than-32-characters')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('The token was refused.').waitFor()
    await page.getByLabel('Token').fill(consoleToken)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForSelector('.tile')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0)
    await page.close()
  })

  test('a foreign name is answered 421, on every route', async () => {
    for (const path of ['/', '/metrics', '/api/hub']) {
      const answer = await fetch(`${hub.adminUrl}${path}`, { headers: { Host: 'rebound.example' } })
      expect(answer.status).toBe(421)
    }
  })

  test('the page is under 150 KB, and its policy allows its own script and sheet alone', async () => {
    const answer = await fetch(`${hub.adminUrl}/`)
    const html = await answer.text()
    expect(html.length).toBeLessThan(150 * 1000)
    const policy = answer.headers.get('content-security-policy') ?? ''
    for (const [element, directive] of [
      ['script', 'script-src'],
      ['style', 'style-src'],
    ] as const) {
      const text = new RegExp(`<${element}[^>]*>([^]*?)</${element}>`).exec(html)?.[1] ?? ''
      expect(text.length).toBeGreaterThan(1000)
      expect(policy).toContain(`${directive} 'sha256-${Bun.SHA256.hash(text, 'base64')}';`)
    }
    expect(policy).toStartWith("default-src 'none'; ")
    expect(html).not.toMatch(/(?:src|href)="https?:/)
  })
})

describe('the live page', () => {
  test('shows a publication within a second, and no data of a private one', async () => {
    const { page, problems, close } = await openConsole(browser, hub, 'live')
    await page.getByText('Waiting for the next update.').waitFor()
    await page.waitForFunction(() => document.querySelector('.link')?.textContent === 'live')
    await publishTo(hub, { topic, data: 'a public word', type: 'order.status' })
    await page.getByText('a public word').waitFor({ timeout: 1000 })
    await publishTo(hub, { topic, data: 'a private word', private: 'on' })
    await page.locator('.feed .data', { hasText: 'private' }).first().waitFor()
    expect(await page.getByText('a private word').count()).toBe(0)
    await page.locator('.feed tr', { hasText: 'a public word' }).locator('button').click()
    await page.locator('.inspector pre', { hasText: 'a public word' }).waitFor()
    await page.getByText('Held while you read.').waitFor()
    await page.keyboard.press('Escape')
    await page.locator('.inspector').waitFor({ state: 'detached' })
    expect(await page.evaluate(() => document.activeElement?.id)).toMatch(/^update-\d+$/)
    expect(problems).toEqual([])
    await close()
  })

  test('2,000 updates a second leave it responsive, with 100 rows and little memory', async () => {
    const { page, close } = await openConsole(browser, hub, 'live')
    const token = await tokenForAll()
    const load = Bun.spawn(
      [
        ...[binaryPath(), 'bench', 'publish', '--hub', hub.url, '--token', token, '--publishers', '8'],
        ...['--rate', '2000', '--duration', '5s', '--warmup', '0s'],
      ],
      { env: {}, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    await page.waitForFunction(() => document.querySelectorAll('.feed tbody tr').length === 100)
    const times: number[] = []
    for (let at = 0; at < 8; at++) {
      // From the click to the frame that shows its effect, as the browser measures it.
      const took = await page.evaluate(async () => {
        const button = [...document.querySelectorAll('button')].find(
          ({ textContent }) => textContent === 'Pause',
        )
        const before = performance.now()
        button?.click()
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
        return performance.now() - before
      })
      times.push(took)
    }
    expect(await load.exited).toBe(0)
    expect(times.sort((left, right) => left - right)[4]).toBeLessThan(100)
    expect(await page.locator('.feed tbody tr').count()).toBeLessThanOrEqual(100)
    const session = await page.context().newCDPSession(page)
    await session.send('HeapProfiler.collectGarbage')
    const { usedSize } = await session.send('Runtime.getHeapUsage')
    expect(usedSize).toBeLessThan(30 * 2 ** 20)
    await close()
  })
})

describe('the playground', () => {
  test('makes a token, explains it, publishes and receives; a wrong audience is named', async () => {
    const { page, problems, close } = await openConsole(browser, hub, 'playground')
    await page.getByRole('button', { name: 'Make one for an hour' }).click()
    await page.getByText('To publish: accepted').waitFor()
    await page.getByLabel('Topics or URL Patterns, one a line').fill('https://shop.example/orders/:id')
    await page.getByRole('button', { name: 'Subscribe', exact: true }).click()
    await page.locator('.aside', { hasText: 'open' }).waitFor()
    await page.getByLabel('Topics, one a line').fill(topic)
    await page.getByLabel('Data').fill("it's packed")
    await page.getByRole('button', { name: 'Who would get it?' }).click()
    await page.getByText('1 reader asks for it now, and may read it.').waitFor()
    await page.getByRole('button', { name: 'Publish', exact: true }).click()
    await page.locator('.answer', { hasText: '200' }).waitFor()
    await page.locator('.stream', { hasText: "it's packed" }).waitFor()
    expect(await page.locator('#code').textContent()).toContain("'data=it'\\''s packed'")
    await page.getByLabel('The token to show').fill(await tokenForAll('https://other.example/'))
    await page.getByRole('button', { name: 'Explain' }).click()
    await page.getByText('To publish: refused').waitFor()
    await page.locator('li.bad', { hasText: 'other.example' }).first().waitFor()
    await goTo(page, 'overview')
    await until('the stream to end with its page', async () => (await subscribers()) === 0)
    expect(problems).toEqual([])
    await close()
  })
})

describe('changes', () => {
  test('disconnecting asks first, ends a stream, and the stream comes back', async () => {
    const { page, close } = await openConsole(browser, hub, 'playground')
    await page.getByRole('button', { name: 'Make one for an hour' }).click()
    await page.getByText('To subscribe: accepted').waitFor()
    const reader = await browser.newPage()
    await reader.goto(`${hub.origin}/`)
    await reader.evaluate(
      (url) => {
        Object.assign(window, { opened: 0 })
        const source = new EventSource(url)
        source.onopen = () => Object.assign(window, { opened: Number(Reflect.get(window, 'opened')) + 1 })
      },
      `${hub.url}?match=${encodeURIComponent(topic)}`,
    )
    const opened = () => reader.evaluate(() => Number(Reflect.get(window, 'opened')))
    await until('the reader', async () => (await opened()) === 1)
    await goTo(page, 'subscribers')
    await page.getByRole('button', { name: /^Disconnect/ }).click()
    await page.getByText('comes back with its last id').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await until('the reader to come back', async () => (await opened()) === 2)
    await reader.close()
    await close()
  })

  test('a prune tells first what goes, and that goes', async () => {
    const own = 'https://shop.example/pruned'
    for (const data of ['1', '2', '3']) await publishTo(hub, { topic: own, data })
    const { page, close } = await openConsole(browser, hub, 'history')
    await page.getByRole('button', { name: 'Prune…' }).click()
    await page.getByLabel('Topic or URL Pattern').fill(own)
    await page.getByLabel('Keep the newest').fill('1')
    await page.getByRole('button', { name: 'Count first' }).click()
    await page.getByText(/^2 updates of/).waitFor()
    await page.getByRole('button', { name: 'Drop 2 updates' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    const { rows } = await (await api(`history?filter=${encodeURIComponent(own)}`)).json()
    expect(rows.map(({ data }: { data: string }) => data)).toEqual(['3'])
    await close()
  })
})

describe('a connection that is lost', () => {
  test('comes back after a restart of the hub, and asks for its hour', async () => {
    const first = await startConsoleHub()
    const { port } = new URL(first.adminUrl)
    const { page, close } = await openConsole(browser, first, 'overview')
    await page.locator('.link', { hasText: 'live' }).waitFor()
    const { directory } = first
    process.kill(first.pid, 'SIGTERM')
    await page.locator('.link', { hasText: 'connecting' }).waitFor()
    const hour = page.waitForResponse((answer) => answer.url().endsWith('/api/series') && answer.ok(), {
      timeout: 30_000,
    })
    const second = await startConsoleHub([
      '--admin-listen',
      `127.0.0.1:${port}`,
      '--sqlite-path',
      `${directory}/again.db`,
    ])
    await page.locator('.link', { hasText: 'live' }).waitFor({ timeout: 25_000 })
    await hour
    await close()
    await second.dispose()
    await first.dispose()
  }, 60_000)
})

describe('the keyboard alone', () => {
  test('goes through the pages, along the plot, and into the inspector and out', async () => {
    await publishTo(hub, { topic, data: 'for the keyboard' })
    const { page, close } = await openConsole(browser, hub, 'overview')
    const plot = page.getByRole('slider').first()
    await plot.focus()
    await page.keyboard.press('ArrowLeft')
    expect(await plot.getAttribute('aria-valuetext')).toMatch(/^\d\d:\d\d: Published per second /)
    await page.keyboard.press('Escape')
    await page.locator('nav .brand').focus()
    for (const name of consolePages) {
      await page.keyboard.press('Tab')
      await page.keyboard.press('Enter')
      await page.waitForSelector(`nav .group a[href="#/${name}"][aria-current]`)
    }
    await goTo(page, 'history')
    await page.locator('.feed button').first().waitFor()
    await page.locator('.feed').locator('xpath=..').focus()
    await page.keyboard.press('Tab')
    const row = await page.evaluate(() => document.activeElement?.id)
    await page.keyboard.press('Enter')
    await page.locator('.inspector').waitFor()
    await page.waitForFunction(() => document.activeElement?.textContent === 'Close')
    await page.keyboard.press('Enter')
    await page.locator('.inspector').waitFor({ state: 'detached' })
    expect(await page.evaluate(() => document.activeElement?.id)).toBe(row ?? 'a row')
    await close()
  })
})

describe('the cost', () => {
  test('five feeds that were open and are closed leave nothing behind', async () => {
    const abort = new AbortController()
    const feeds = await Promise.all([1, 2, 3, 4, 5].map(() => api('live?updates', { signal: abort.signal })))
    expect(feeds.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    // Feeds are no subscribers.
    expect(await subscribers()).toBe(0)
    for (let at = 0; at < 20; at++) await publishTo(hub, { topic, data: 'x' })
    abort.abort()
    // Eight may be open: the hub has noticed that all five have gone.
    await until('room for eight feeds', async () => {
      const again = new AbortController()
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => api('live', { signal: again.signal })),
      )
      again.abort()
      return answers.every(({ status }) => status === 200)
    })
    // An idle hub takes about 1 ms of a core in a second, console or not.
    const watched = localProcess(hub.pid)
    await until('an idle hub', async () => {
      const before = watched.cpuUs()
      const start = performance.now()
      await until('a second', () => performance.now() - start >= 1000)
      return watched.cpuUs() - before < 30_000
    })
  })

  test('a hub without a console has no page and no API', async () => {
    const bare = await startHub({ flags: ['--transport', 'memory'] })
    expect((await fetch(`${bare.adminUrl}/`)).status).toBe(404)
    expect((await fetch(`${bare.adminUrl}/api/hub`)).status).toBe(404)
    await bare.dispose()
  })
})

async function subscribers(): Promise<number> {
  return (await (await api('subscribers')).json()).total
}

test('the overview shows every node of a hub, wherever it is opened', async () => {
  await using server = await RedisServer.start()
  const shared = ['--transport', 'redis', '--redis-url', server.url]
  const [one, two] = await Promise.all(
    ['one', 'two'].map((name) => startConsoleHub([...shared, '--redis-node', name])),
  )
  if (one === undefined || two === undefined) throw new Error('two hubs were started')
  const reader = await StreamClient.open(`${two.url}?match=books`)
  const { page, close } = await openConsole(browser, one, 'overview')
  await page.waitForFunction(() => {
    const rows = [...document.querySelectorAll('table tbody tr')].map((row) => row.textContent ?? '')
    return rows.some((row) => /^one.*this one0/.test(row)) && rows.some((row) => /^two1/.test(row))
  })
  await close()
  reader.close()
  await one.dispose()
  await two.dispose()
})
