import { describe, expect, test } from 'bun:test'
import manifest from '../../package.json' with { type: 'json' }
import { commands, findCommand } from '../../src/cli/commands.ts'
import { helpOn, refuseCommand, serveHelp } from '../../src/cli/help.ts'
import { runToken } from '../../src/cli/token.ts'
import { runVersion } from '../../src/cli/version.ts'
import { commandIo } from '../support/command-io.ts'

describe('--help', () => {
  test.each(Object.entries(commands))(
    'of %s goes to the standard output and ends with 0',
    async (name, command) => {
      const run = await command.load(async (_, { stdout }) => {
        stdout(serveHelp())
        return 0
      })
      const usage = name === 'help' ? 'Usage: cinnabar COMMAND' : `Usage: cinnabar ${name}`
      for (const flag of ['--help', '-h']) {
        const { io, out, err } = commandIo()
        expect(await run([flag], io)).toBe(0)
        expect(out()).toStartWith(usage)
        expect(err()).toBe('')
      }
    },
  )

  test('of token explain is its own', async () => {
    const { io, out } = commandIo()
    expect(await runToken(['explain', '--help'], io)).toBe(0)
    expect(out()).toStartWith('Usage: cinnabar token explain')
  })

  test('of serve has every setting', () => {
    expect(serveHelp()).toContain('--history-max-age DURATION')
  })
})

test('help names every command', async () => {
  const { io, out } = commandIo()
  expect(await helpOn(commands, () => null)([], io)).toBe(0)
  for (const name of Object.keys(commands)) expect(out()).toContain(`\n  ${name} `)
})

test('a command is found by its name, help and version also by their flags', () => {
  for (const [name, command] of Object.entries(commands)) expect(findCommand(name)).toBe(command)
  expect(findCommand('--help')).toBe(findCommand('help'))
  expect(findCommand('--version')).toBe(findCommand('version'))
  for (const name of ['', '--check', 'toString', '__proto__']) expect(findCommand(name)).toBeNull()
})

test('an unknown command ends with 2 and the nearest name', () => {
  const { io, err } = commandIo()
  expect(refuseCommand('sevre', commands, io)).toBe(2)
  expect(err()).toContain('"sevre" is not a command; did you mean serve?')
})

test.each([
  ['--versoin', 'did you mean --version?'],
  ['--dev', 'did you mean cinnabar serve --dev?'],
  ['--hub-path=/x', 'did you mean cinnabar serve --hub-path?'],
])('%s, which is no command, ends with 2 and what was meant', (word, hint) => {
  const { io, err } = commandIo()
  expect(refuseCommand(word, commands, io)).toBe(2)
  expect(err()).toContain(hint)
})

test.each(['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc', '\x1b[2J', 'a b', 'hunter2'.repeat(4)])(
  '%j, which may be a token, is not repeated',
  (word) => {
    const { io, err } = commandIo()
    expect(refuseCommand(word, commands, io)).toBe(2)
    expect(err()).toContain('the first word is not a command')
    expect(err()).not.toContain(word)
  },
)

describe('cinnabar version', () => {
  test('names everything it is made of', async () => {
    const { io, out } = commandIo()
    expect(await runVersion(['--json'], io)).toBe(0)
    expect(JSON.parse(out())).toMatchObject({ version: manifest.version, bun: Bun.version })
    expect(Object.keys(JSON.parse(out()))).toEqual(['version', 'commit', 'target', 'bun', 'sqlite'])
  })

  test('is one line without --json', async () => {
    const { io, out } = commandIo()
    expect(await runVersion([], io)).toBe(0)
    expect(out()).toStartWith(`cinnabar ${manifest.version} (`)
  })

  test('takes nothing else', async () => {
    expect(await runVersion(['--jsn'], commandIo().io)).toBe(2)
  })
})
