import { describe, expect, test } from 'bun:test'
import { commandLines } from '../../src/cli/commands.ts'
import { manualOf, manualPage } from '../../src/cli/man.ts'
import { names } from '../../src/config/names.ts'
import { commandIo } from '../support/command-io.ts'

const page = manualPage(await commandLines(), { version: '1.2.3', date: '2025-01-01' })
/** The text as it is read: without the language of the page. */
const plain = page
  .replaceAll(/\\f[BIR]/g, '')
  .replaceAll('\\-', '-')
  .replaceAll('\\&', '')

test('the page has its version and its date', () => {
  expect(page).toStartWith('.TH CINNABAR 1 "2025-01-01" "cinnabar 1.2.3" "User Commands"\n.SH NAME\n')
})

test('the page has every command with its options', async () => {
  for (const { name, options } of await commandLines()) {
    const [, text = ''] = plain.split(`\n.SS ${name}\n`)
    const [own = ''] = text.split('\n.SS ')
    for (const option of options) expect(own).toContain(`\n.B --${option.name}`)
  }
})

test('the page has every setting by each of its names', () => {
  for (const { key, flag, env } of names) {
    expect(plain).toMatch(new RegExp(`\\n\\.B --(no-)?${flag}[ \\n]`))
    expect(plain).toContain(`In the file ${key}, in the environment ${env}.`)
  }
})

test('no line of text is taken for a request', () => {
  const requests = ['TH', 'SH', 'SS', 'PP', 'TP', 'B', 'I', 'nf', 'fi', 'RS', 'RE']
  const used = new Set([...page.matchAll(/^[.'](\S*)/gm)].map(([, request = '']) => request))
  expect([...used].filter((request) => !requests.includes(request))).toEqual([])
  expect(page).not.toMatch(/[^\n -~]/)
})

test('it goes to the standard output', async () => {
  const { io, out } = commandIo()
  expect(await manualOf(commandLines)([], io)).toBe(0)
  expect(out()).toStartWith('.TH CINNABAR 1')
})

const checkers: readonly (readonly [name: string, command: readonly string[]])[] = [
  ['mandoc', ['mandoc', '-Tlint', '-Wwarning']],
  ['man', ['man', '-l', '--warnings', '-E', 'UTF-8', '-Tutf8', '-Z', '-']],
]

describe.each(checkers)('%s', (name, command) => {
  // The one reason to skip: it is not on this machine. scripts/test.sh installs it where it can.
  test.skipIf(Bun.which(name) === null)('finds nothing wrong with the page', async () => {
    const child = Bun.spawn([...command], { stdin: new Blob([page]), stdout: 'pipe', stderr: 'pipe' })
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    expect({ code: await child.exited, err, complaints: name === 'mandoc' ? out : '' }).toEqual({
      code: 0,
      err: '',
      complaints: '',
    })
  })
})
