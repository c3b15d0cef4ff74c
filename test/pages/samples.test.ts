import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'
import { type Sample, samplesOf } from '../support/pages/sample.ts'
import { isPrinted, Stage } from '../support/pages/stage.ts'

/** The samples of the pages in docs/, in their order, against the executable. */

setDefaultTimeout(60_000)

const root = new URL('../../', import.meta.url).pathname
const pages = [...new Bun.Glob('docs/**/*.md').scanSync(root)].toSorted()
/** Languages of blocks that somebody would copy. A block without a language might be anything. */
const copied = /^(?!text$)/
const modes = ['run', 'fails', 'start', 'follow', 'file', 'page', 'prints', 'checks', 'parses', 'by', 'steps']

/** The programs that read a file without running it. */
const readers: Readonly<Record<string, string>> = {
  sh: 'sh -n',
  ini: 'sh -n',
  php: 'php -l',
  ruby: 'ruby -c',
}

/** The steps that a page hides, as a function of what they may use. */
type Steps = (
  browser: () => Promise<Page>,
  more: typeof until,
  expectation: typeof expect,
  run: Stage['run'],
) => Promise<void>

for (const name of pages) {
  const samples = samplesOf(await Bun.file(join(root, name)).text())
  const own = samples.filter(({ mode }) => modes.includes(mode) && mode !== 'by')

  describe(name, () => {
    let stage: Stage
    let browser: Browser | null = null
    let page: Page | null = null
    beforeAll(async () => {
      if (own.length > 0) stage = await Stage.open()
    })
    afterAll(async () => {
      await browser?.close()
      await stage?.dispose()
    })

    if (samples.some(({ language }) => copied.test(language)))
      test('every sample that somebody would copy is run, or names the test that runs it', () => {
        const left = samples.filter(({ language, mode }) => copied.test(language) && !modes.includes(mode))
        expect(left.map(({ line, language }) => `line ${line}: ${language}`)).toEqual([])
        for (const { value } of samples.filter(({ mode }) => mode === 'by'))
          expect([value, existsSync(join(root, value))]).toEqual([value, true])
      })

    for (const sample of own) {
      const { line, heading, mode, value, language, needs } = sample
      // The one reason to skip: the interpreter is not on this machine. scripts/test.sh installs them.
      const isMissing = needs !== null && !isThere(needs)
      const title = `line ${line}, ${heading}: ${language} ${mode}${value && ' '}${value}`
      test.skipIf(isMissing)(isMissing ? `${title} (${needs} is missing)` : title, () => play(sample))
    }

    async function play(sample: Sample): Promise<void> {
      const { mode, value, text } = sample
      if (mode === 'file') await stage.write(value, text)
      else if (mode === 'start') await stage.start(text, value)
      else if (mode === 'follow') await stage.follow(text)
      else if (mode === 'run') expect(await stage.run(text)).toMatchObject({ code: 0 })
      else if (mode === 'fails') expect((await stage.run(text)).code).not.toBe(0)
      else if (mode === 'prints') await printed(text)
      else if (mode === 'checks') await checked(text)
      else if (mode === 'parses') await parsed(sample)
      else if (mode === 'page') await scriptOf(await shown(), stage.placed(text))
      else await stepsOf(stage.placed(text))(shown, until, expect, (script) => stage.run(script))
    }

    async function printed(text: string): Promise<void> {
      const wanted = stage.placed(text)
      await until('what the page says', () => isPrinted(stage.printed(), wanted), 5000).catch(() =>
        expect(stage.printed()).toBe(wanted),
      )
    }

    /** A part of a configuration is valid together with a hub that lets everybody read. */
    async function checked(text: string): Promise<void> {
      await stage.write('part.toml', text.replaceAll('"…"', `"${'0123456789abcdef'.repeat(4)}"`))
      const end = await stage.run('cinnabar check --config part.toml --hub-anonymous=true')
      expect(end).toMatchObject({ code: 0, out: expect.stringMatching(/^The configuration is valid\.\n/) })
    }

    /** The language reads it, and nothing more. */
    async function parsed({ language, text }: Sample): Promise<void> {
      if (language === 'yaml') expect(Bun.YAML.parse(text)).toBeObject()
      else if (language === 'js') expect(() => new Bun.Transpiler().transformSync(text)).not.toThrow()
      else {
        await stage.write('lines', language === 'php' && !text.startsWith('<?') ? `<?php\n${text}` : text)
        expect(await stage.run(`${readers[language]} lines`)).toMatchObject({ code: 0 })
      }
    }

    /** Runs a script of the page as a module; what it prints on the console is what the sample prints. */
    async function scriptOf(shownPage: Page, content: string): Promise<void> {
      let out = ''
      shownPage.on('console', (message) => {
        out += `${message.text()}\n`
      })
      stage.printed = () => out
      await shownPage.addScriptTag({ type: 'module', content })
    }

    async function shown(): Promise<Page> {
      browser ??= await launchBrowser()
      page ??= await browser.newPage()
      return page
    }
  })
}

/** Whether the program, or the file of this machine or the checkout, is there. */
function isThere(needed: string): boolean {
  if (needed.includes('/')) return existsSync(resolve(root, needed))
  return Bun.which(needed, { PATH: `/usr/bin:/usr/local/go/bin:${process.env['PATH'] ?? ''}` }) !== null
}

function stepsOf(text: string): Steps {
  const AsyncFunction = (async () => {}).constructor
  const steps = Reflect.construct(AsyncFunction, ['browser', 'until', 'expect', 'run', text])
  return async (...given) => void (await steps(...given))
}

test('a page names its samples by the conventions of test/support/pages/sample.ts', () => {
  const page =
    '# A\ntext\n```sh run needs=ruby\none\n```\n<!-- sh run\ntwo\n-->\n## B\n  ```text\n  three\n  ```\n'
  expect(samplesOf(page)).toEqual([
    { language: 'sh', mode: 'run', value: '', needs: 'ruby', text: 'one\n', line: 3, heading: 'A' },
    { language: 'sh', mode: 'run', value: '', needs: null, text: 'two\n', line: 6, heading: 'A' },
    { language: 'text', mode: '', value: '', needs: null, text: 'three\n', line: 10, heading: 'B' },
  ])
  expect(pages.map((name) => basename(name))).toContain('tokens.md')
})
