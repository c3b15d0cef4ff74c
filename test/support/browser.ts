import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

export const chromiumPath = '/usr/bin/chromium'

/** Starts Chromium without a window, to be closed by the caller. `args`: further switches. */
export async function launchBrowser(args: readonly string[] = []): Promise<Browser> {
  if (!existsSync(chromiumPath)) throw new Error('chromium is missing: apt-get install chromium')
  const quiet = ['--no-first-run', '--disable-background-networking', '--disable-component-update']
  return await chromium.launch({
    executablePath: chromiumPath,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-sync', ...quiet, ...args],
  })
}
