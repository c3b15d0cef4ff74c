import { describe, expect, test } from 'bun:test'
import { commandLines, commands } from '../../src/cli/commands.ts'
import { completionOf } from '../../src/cli/completion/command.ts'
import { placesOf, settingFlags } from '../../src/cli/completion/typed.ts'
import { names } from '../../src/config/names.ts'
import { commandIo } from '../support/command-io.ts'
import { hasShell, offered, type Shell, shells } from '../support/shells.ts'

const runCompletion = completionOf(commands, commandLines)

async function scriptFor(shell: Shell): Promise<string> {
  const { io, out } = commandIo()
  expect(await runCompletion([shell], io)).toBe(0)
  return out()
}

test('every command is a place with its subcommands, its options and its words', async () => {
  const places = placesOf(await commandLines())
  const byPath = new Map(places.map((place) => [place.path, place]))
  expect([...byPath.keys()].filter((path) => !path.includes(' '))).toEqual(Object.keys(commands))
  expect(byPath.get('token')?.words).toEqual(['explain'])
  expect(byPath.get('token explain')?.hasSettings).toBe(true)
  expect(byPath.get('history')?.words).toContain('export')
  expect(byPath.get('history')?.flags.map(({ name }) => name)).toEqual(['help'])
  expect(byPath.get('history import')?.takesFile).toBe(true)
  expect(byPath.get('history export')?.takesFile).toBe(false)
  expect(byPath.get('bench')?.words).toEqual(['fanout', 'publish', 'connections', 'replay', 'memory'])
  expect(byPath.get('completion')?.words).toEqual([...shells])
})

test('every setting is a flag, with what its value can be', () => {
  const byName = new Map(settingFlags.map(({ name, value }) => [name, value]))
  expect(settingFlags.length).toBe(names.length)
  expect(byName.get('transport')).toEqual({ kind: 'words', words: ['sqlite', 'memory', 'local', 'redis'] })
  expect(byName.get('no-http2')).toEqual({ kind: 'none' })
  expect(byName.get('http3')).toEqual({ kind: 'none' })
  expect(byName.get('tls-key-file')).toEqual({ kind: 'file' })
  expect(byName.get('issuers-0-publisher-key-file')).toEqual({ kind: 'file' })
  expect(byName.get('history-max-age')).toEqual({ kind: 'text' })
  expect(byName.get('issuers-0-subscriber-algorithms')).toMatchObject({ kind: 'words' })
})

test('another shell is refused with those that are known', async () => {
  const { io, err } = commandIo()
  expect(await runCompletion(['tcsh'], io)).toBe(2)
  expect(err()).toContain('it knows bash, zsh, fish')
})

const lines: Readonly<Record<string, readonly string[]>> = {
  'cinnabar to': ['token'],
  'cinnabar token ex': ['explain'],
  'cinnabar token --publish-': ['--publish-urlpattern'],
  'cinnabar token explain --au': ['--aud'],
  'cinnabar history ': ['backup', 'compact', 'export', 'import', 'prune', 'stats'],
  'cinnabar history export --sal': ['--salvage'],
  'cinnabar history import scr': ['script'],
  'cinnabar bench c': ['connections'],
  'cinnabar bench memory --fol': ['--folder'],
  'cinnabar completion z': ['zsh'],
  'cinnabar serve --log-level ': ['debug', 'error', 'info', 'warn'],
  'cinnabar serve --log-level=d': ['debug'],
  'cinnabar serve --config scr': ['script'],
  'cinnabar serve --hub-cook': ['--hub-cookie-name'],
  'cinnabar serve --issuers-0-publisher-algorithm ES': ['ES256', 'ES384', 'ES512'],
  'cinnabar publish --hub-cook': [],
  'cinnabar publish --token ': [],
}

describe.each(shells)('%s', (shell) => {
  // The one reason to skip: the shell is not on this machine. scripts/test.sh installs it where it can.
  test.skipIf(!hasShell(shell))(
    'completes commands, subcommands, options and their values',
    async () => {
      const answers = await offered(shell, await scriptFor(shell), Object.keys(lines))
      // A shell may offer the option with the sign that may follow it, or the whole word that it is a part of.
      const plain = answers.map((words) => words.map((word) => word.replace(/=$|^--[a-z-]+=(?=.)/, '')))
      expect<unknown>(Object.fromEntries(Object.keys(lines).map((line, at) => [line, plain[at]]))).toEqual({
        ...lines,
      })
    },
    30_000,
  )

  test.skipIf(!hasShell(shell))('offers every command', async () => {
    const [answer = []] = await offered(shell, await scriptFor(shell), ['cinnabar '])
    expect(answer.filter((word) => !word.startsWith('-'))).toEqual(Object.keys(commands).sort())
  })
})
