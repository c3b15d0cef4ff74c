import type { Browser, Page } from 'playwright-core'
import { mint } from '../../src/auth/mint.ts'
import { type RunningHub, startHub } from './binary.ts'
import { consoleToken } from './console-material.ts'
import { type PublishFields, publish } from './publisher.ts'

const key = 'one-secret-of-36-characters-for-both'
const issuer = 'https://issuer.example'
const audience = 'https://hub.example/.well-known/mercure'

/** The pages of the console by their names in the address. */
export const consolePages = [
  ...['overview', 'live', 'topics', 'subscribers', 'history', 'playground', 'memory', 'configuration'],
] as const

/** The compiled hub with a console, whose token is `consoleToken`. */
export async function startConsoleHub(
  flags: readonly string[] = [],
  directory?: string,
): Promise<RunningHub> {
  const roles = { publisher: { key, algorithm: 'HS256' }, subscriber: { key, algorithm: 'HS256' } }
  const fixed = ['--issuers', JSON.stringify([{ id: issuer, ...roles }]), '--hub-anonymous']
  const console = ['--admin-console', '--admin-token', consoleToken, '--hub-resource-identifier', audience]
  return await startHub({
    flags: [...fixed, ...console, ...flags],
    hasIssuers: false,
    hasAudience: false,
    ...(directory !== undefined && { directory }),
  })
}

/** A token that may publish and subscribe to everything, for these audiences. */
export function tokenForAll(audiences: string = audience): Promise<string> {
  const now = Date.now()
  const rights = { publish: ['*'], subscribe: ['*'] }
  const times = { issuedAt: now, expiresAt: now + 3_600_000 }
  return mint({ key, algorithm: 'HS256', issuer, audience: audiences, subject: 'x', ...times, rights })
}

/** Publishes on the hub's own listener. */
export async function publishTo(hub: RunningHub, fields: PublishFields): Promise<void> {
  await publish(hub.url, fields, await tokenForAll())
}

/** A page of the console that is signed in. `problems` gathers everything that the browser complains about. */
export async function openConsole(
  browser: Browser,
  hub: RunningHub,
  page: string,
  look: { readonly colorScheme?: 'light' | 'dark'; readonly width?: number; readonly height?: number } = {},
): Promise<{ readonly page: Page; readonly problems: string[]; close(): Promise<void> }> {
  const { colorScheme = 'light', width = 1360, height = 900 } = look
  const context = await browser.newContext({ colorScheme, viewport: { width, height } })
  const opened = await context.newPage()
  const problems: string[] = []
  opened.on('console', (message) => problems.push(message.text()))
  opened.on('pageerror', (error) => problems.push(error.message))
  await opened.goto(`${hub.adminUrl}/#token=${consoleToken}`)
  await opened.waitForSelector('.tile')
  await goTo(opened, page)
  return { page: opened, problems, close: () => context.close() }
}

/** Opens another page of the console by its link. */
export async function goTo(page: Page, name: string): Promise<void> {
  await page.locator(`nav a[href="#/${name}"]`).last().click()
  await page.waitForSelector(`nav .group a[href="#/${name}"][aria-current]`)
}
