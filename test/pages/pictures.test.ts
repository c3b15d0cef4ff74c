import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'
import { samplesOf } from '../support/pages/sample.ts'
import { Stage } from '../support/pages/stage.ts'

/**
 * The pictures of the pages, from what the executable prints and a browser shows. PICTURES=write puts them into
 * docs/pictures; without it the scenes are played all the same, and the files have to be there.
 */

setDefaultTimeout(60_000)

const root = new URL('../../', import.meta.url).pathname
const isWriting = process.env['PICTURES'] === 'write'

describe('the pictures', () => {
  let stage: Stage
  let browser: Browser
  beforeAll(async () => {
    stage = await Stage.open()
    browser = await launchBrowser()
    await stage.start('cinnabar serve --dev > printed', '3000')
  })
  afterAll(async () => {
    await browser.close()
    await stage.dispose()
  })

  test('a page gets what the command line publishes', async () => {
    const samples = samplesOf(await Bun.file(join(root, 'docs/start.md')).text())
    const html = samples.find(({ value }) => value === 'public/index.html')?.text ?? ''
    await stage.write('public/index.html', html.replace('<title>Books</title>', `<style>${reading}</style>`))
    await stage.start('python3 -m http.server 8000 --directory public 2> log', '8000')
    const page = await browser.newPage({ viewport: { width: 1200, height: 420 }, deviceScaleFactor: 1 })
    await page.goto(stage.placed('http://localhost:8000/'))
    const lines = ["$ export CINNABAR_TOKEN=$(cinnabar token --dev --publish '*')"]
    for (const text of ['The red ones are here', 'Two are left', 'Sold out']) {
      const command = `cinnabar publish https://example.com/books/1 --data '${text}'`
      const { out } = await stage.run(`CINNABAR_TOKEN=$(cinnabar token --dev --publish '*') ${command}`)
      expect(out).toStartWith('urn:uuid:')
      lines.push(`$ ${command}`, out.trim())
    }
    await until('the updates in the page', async () => (await page.locator('#news li').count()) === 3)
    const shown = await page.screenshot({ clip: { x: 0, y: 0, width: 380, height: 200 } })
    await page.setContent(
      scene(lines.join('\n'), `<img src="data:image/png;base64,${shown.toString('base64')}">`),
    )
    await keep(page, 'first-event.png')
  })

  test('the address of a hub tells what it is', async () => {
    const page = await browser.newPage({ viewport: { width: 640, height: 150 } })
    await page.goto(stage.placed('http://localhost:3000/'))
    expect(await page.textContent('body')).toContain('This is a Mercure hub.')
    await keep(page, 'welcome.png')
  })

  test('bench ends with a table', async () => {
    const command = 'cinnabar bench fanout --subscribers 200 --duration 2s'
    const { out } = await stage.run(
      `CINNABAR_TOKEN=$(cinnabar token --dev --publish '*' --subscribe '*') ${command}`,
    )
    expect(out).toContain('subscribers')
    const page = await browser.newPage({ viewport: { width: 760, height: 300 } })
    const port = new RegExp(`\\b${stage.port('3000')}\\b`, 'g')
    await page.setContent(scene(`$ ${command}\n${out.trimEnd().replace(port, '3000')}`, ''))
    await keep(page, 'bench.png')
  })
})

/** Takes the picture of the scene, small enough for a page, and looks for the one that the pages show. */
async function keep(page: Page, name: string): Promise<void> {
  const element = page.locator('#scene')
  const taken = (await element.count()) > 0 ? await element.screenshot() : await page.screenshot()
  expect(taken.length).toBeLessThan(150_000)
  const file = Bun.file(join(root, 'docs/pictures', name))
  if (isWriting) await Bun.write(file, taken)
  expect(await file.exists()).toBe(true)
}

const reading = 'body { font: 17px/1.7 sans-serif; margin: 24px; color: #222 }'

/** A terminal with the text, and something at its side. */
function scene(text: string, side: string): string {
  return `<!doctype html><style>
    body { margin: 0; background: #fff }
    #scene { display: inline-flex; gap: 16px; padding: 16px; align-items: stretch }
    pre { margin: 0; padding: 20px; border-radius: 8px; background: #1c1a1d; color: #eae6e4; font: 14px/1.6 monospace }
    .side { border: 1px solid #ccc; border-radius: 8px; overflow: hidden }
    img { display: block }
  </style><div id="scene"><pre>${Bun.escapeHTML(text)}</pre>${side && `<div class="side">${side}</div>`}</div>`
}
