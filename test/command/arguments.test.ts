import { describe, expect, test } from 'bun:test'
import { type CommandLine, helpOf, parseArguments } from '../../src/command/arguments.ts'

const line: CommandLine = {
  name: 'try',
  usage: '[TOPIC]',
  summary: 'Tries.',
  options: [
    { name: 'data', takes: 'TEXT', help: 'the data' },
    { name: 'json', takes: null, help: 'as JSON' },
  ],
  hasSettings: true,
  positionals: { min: 0, max: 1 },
}

test('options, settings and positional arguments may be mixed', () => {
  const args = parseArguments(
    ['--data', 'a', 't', '--json', '--hub-path', '/x', '--hub-anonymous', '--data=b', '--config=f', '--dev'],
    line,
  )
  expect(args.problems).toEqual([])
  expect(args.values('data')).toEqual(['a', 'b'])
  expect(args.value('data')).toBe('b')
  expect(args.has('json')).toBe(true)
  expect(args.positionals).toEqual(['t'])
  expect(args.settings).toEqual(['--hub-path', '/x', '--hub-anonymous', '--config=f', '--dev'])
})

test('a value may be empty, a dash, or begin like a PEM', () => {
  for (const value of ['', '-', '-----BEGIN PUBLIC KEY-----', '-5']) {
    expect(parseArguments(['--data', value], line)).toMatchObject({ problems: [], positionals: [] })
    expect(parseArguments(['--data', value], line).value('data')).toBe(value)
  }
})

test('everything after two dashes is positional', () => {
  expect(parseArguments(['--', '--json'], line)).toMatchObject({ positionals: ['--json'], problems: [] })
})

describe('refused', () => {
  const bare: CommandLine = { ...line, hasSettings: false, positionals: { min: 1, max: 1 } }

  test.each([
    [['--dta', 'x'], line, ['--dta is not an option; did you mean --data?']],
    [['--hub-pth', 'x'], line, ['--hub-pth is not an option; did you mean --hub-path?']],
    [['--data'], line, ['--data needs a value']],
    [['--data', '--json'], line, ['--data needs a value']],
    [['--json=yes'], line, ['--json takes no value']],
    [['a', 'b'], line, ['it takes no more than 1 argument']],
    [[], bare, ['an argument is missing: TOPIC']],
    [['-thunter2'], line, ['-t is not an option']],
    [['--a\x1b[2J=hunter2'], line, ['--a\\u001b[2J is not an option']],
    [['t', '--hub-path=/x'], bare, ['--hub-path is not an option']],
  ] as const)('%j', (argv, of, problems) => {
    expect(parseArguments(argv, of).problems).toEqual([...problems])
  })

  test('an argument in the wrong place may be a token and is not repeated', () => {
    expect(parseArguments(['a', 'hunter2'], line).problems.join()).not.toContain('hunter2')
    expect(parseArguments(['--tken=hunter2'], line).problems.join()).not.toContain('hunter2')
  })
})

test('the help names every option', () => {
  const help = helpOf(line)
  expect(help).toStartWith('Usage: cinnabar try [TOPIC]\n\nTries.\n')
  for (const option of ['--data TEXT', '--json', '--config FILE', '--dev', '--help'])
    expect(help).toContain(option)
})
