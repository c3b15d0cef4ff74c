import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { runHistory } from '../../../src/cli/history/command.ts'
import type { CommandIo, ExitCode } from '../../../src/command/command.ts'
import { bytesText } from '../../../src/command/quantity.ts'
import { formatLine, parseLine } from '../../../src/history/line.ts'
import { encode } from '../../../src/protocol/event-stream.ts'
import { isProtocolString } from '../../../src/protocol/topic.ts'
import { commandIo } from '../../support/command-io.ts'
import { temporaryFolder } from '../../transport/sqlite/log.ts'

let folder: string
let history: string
let remove: () => void
beforeEach(() => {
  const made = temporaryFolder()
  folder = made.path
  remove = made.remove
  history = join(folder, 'history.db')
})
afterEach(() => remove())

interface Outcome {
  readonly code: ExitCode
  readonly out: string
  readonly err: string
}

async function run(words: readonly string[], parts: Partial<CommandIo> = {}): Promise<Outcome> {
  const { io, out, err } = commandIo(parts)
  const code = await runHistory(words, io)
  return { code, out: out(), err: err() }
}

/** Runs a subcommand on the history of the test. */
async function on(
  name: string,
  words: readonly string[] = [],
  parts: Partial<CommandIo> = {},
): Promise<Outcome> {
  return await run([name, '--sqlite-path', history, ...words], parts)
}

function entryLine(id: string, parts: Record<string, unknown> = {}): string {
  const event = `id: ${id}\ndata: ${id}\n\n`
  return JSON.stringify({ id, topics: ['https://example.com/1'], private: false, at: 1000, event, ...parts })
}

async function imported(lines: readonly string[]): Promise<Outcome> {
  return await on('import', ['-'], { stdin: async () => `${lines.join('\n')}\n` })
}

async function exportedLines(words: readonly string[] = []): Promise<string[]> {
  const file = join(folder, `${crypto.randomUUID()}.jsonl`)
  const { code, err } = await on('export', ['--output', file, ...words])
  expect([code, err]).toEqual([0, expect.stringContaining('exported')])
  return (await Bun.file(file).text()).split('\n').slice(0, -1)
}

const subcommands = ['stats', 'prune', 'compact', 'backup', 'export', 'import']

describe('cinnabar history', () => {
  test('--help names every subcommand, and each has its own', async () => {
    const { code, out } = await run(['--help'])
    expect(code).toBe(0)
    for (const name of subcommands) {
      expect(out).toContain(`\n  ${name} `)
      const own = await run([name, '--help'])
      expect([own.code, own.err]).toEqual([0, ''])
      expect(own.out).toStartWith(`Usage: cinnabar history ${name}`)
    }
  })

  test('without a subcommand, with an unknown one or an unknown flag ends with 2', async () => {
    expect(await run([])).toMatchObject({ code: 2, err: expect.stringContaining('a subcommand is missing') })
    expect(await run(['prun'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean prune?'),
    })
    for (const name of subcommands) expect((await on(name, ['--colour'])).code).toBe(2)
    expect(await on('backup')).toMatchObject({ code: 2, err: expect.stringContaining('missing: FILE') })
    expect(await on('prune', ['--kep-count', '3'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('--keep-count'),
    })
  })

  test('a wrong setting ends with 78, a transport without a file and a missing file with 1', async () => {
    expect((await on('stats', ['--transport', 'paper'])).code).toBe(78)
    expect(await on('stats', ['--transport', 'memory'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('no history file with the transport memory'),
    })
    for (const words of [['stats'], ['prune', '--keep-count', '1'], ['compact'], ['export']]) {
      expect(await on(words[0] ?? '', words.slice(1))).toMatchObject({
        code: 1,
        err: expect.stringContaining('there is no history file'),
      })
    }
  })
})

describe('cinnabar history stats', () => {
  test('is a table', async () => {
    await imported([entryLine('a'), entryLine('b', { topics: ['t', 'u'], at: 2000 })])
    const { code, out } = await on('stats')
    expect(code).toBe(0)
    for (const text of [
      /^History {7}.*history\.db \(no hub is running on it\)$/m,
      /^Entries {7}2 entries$/m,
      /^Oldest {8}1970-01-01T00:00:01\.000Z {2}a$/m,
      /^Newest {8}1970-01-01T00:00:02\.000Z {2}b$/m,
      /^Topics with most entries$/m,
      /^ {8}1 .* B {2}t$/m,
    ]) {
      expect(out).toMatch(text)
    }
  })

  test('--json is one object, --top limits the topics', async () => {
    await imported([entryLine('a'), entryLine('b', { topics: ['t', 'u'], at: 2000 })])
    const { out } = await on('stats', ['--json', '--top', '1'])
    expect(JSON.parse(out)).toMatchObject({
      path: history,
      isRunning: false,
      rows: 2,
      oldest: { id: 'a', at: '1970-01-01T00:00:01.000Z' },
      newest: { id: 'b', at: '1970-01-01T00:00:02.000Z' },
      journalBytes: 0,
      rules: [],
      topicCount: 2,
      topicsByRows: [{ rows: 1 }],
    })
    expect((await on('stats', ['--top', 'many'])).code).toBe(2)
  })
})

describe('cinnabar history prune', () => {
  const now = 10_000_000
  const clock = () => now
  beforeEach(async () => {
    const at = (secondsAgo: number) => ({ at: now - 1000 * secondsAgo })
    await imported([
      entryLine('1', at(300)),
      entryLine('2', { ...at(200), topics: ['https://example.com/users/7', 'other'] }),
      entryLine('3', at(100)),
      entryLine('4', { ...at(50), topics: ['https://example.com/users/8'] }),
      entryLine('5', at(0)),
    ])
  })

  const cases: readonly (readonly [words: string, left: string])[] = [
    ['--older-than 100s', '4 5'],
    ['--older-than 1h', '1 2 3 4 5'],
    ['--keep-count 2', '4 5'],
    ['--keep-count 0', ''],
    ['--keep-bytes 0', ''],
    ['--keep-bytes 1MiB', '1 2 3 4 5'],
    ['--keep-count 4 --older-than 150s', '3 4 5'],
    ['--topic https://example.com/1', '2 4'],
    ['--topic other', '1 3 4 5'],
    ['--topic other --topic https://example.com/users/8', '1 3 5'],
    ['--topic https://example.com/1 --keep-count 1', '2 4 5'],
    ['--topic https://example.com/1 --older-than 200s', '2 3 4 5'],
    ['--urlpattern https://example.com/users/:id', '1 3 5'],
    ['--urlpattern https://example.com/users/:id --keep-count 1', '1 3 4 5'],
    ['--topic nobody', '1 2 3 4 5'],
  ]
  test.each(cases)('%s leaves %s, and --dry-run says the same and leaves all', async (words, left) => {
    const kept = left === '' ? [] : left.split(' ')
    const number = 5 - kept.length
    const dry = await on('prune', [...words.split(' '), '--dry-run'], { clock })
    const count = number === 1 ? '1 entry' : `${number} entries`
    expect(dry.code).toBe(0)
    expect(dry.out).toStartWith(`would drop ${count}, `)
    expect(await exportedLines()).toHaveLength(5)
    const { code, out } = await on('prune', words.split(' '), { clock })
    expect([code, out]).toEqual([0, dry.out.replace('would drop', 'dropped')])
    expect((await exportedLines()).map((line) => JSON.parse(line).id)).toEqual(kept)
  })

  test('says what is wrong and drops nothing', async () => {
    for (const words of [
      [],
      ['--dry-run'],
      ['--older-than', '2'],
      ['--keep-count', '-1'],
      ['--keep-bytes', '64MB'],
      ['--topic', ''],
      ['--urlpattern', 'https://example.com/(\\d'],
      ['everything'],
    ]) {
      expect((await on('prune', words, { clock })).code).toBe(2)
    }
    expect(await exportedLines()).toHaveLength(5)
  })
})

describe('cinnabar history compact', () => {
  test('says how much it gave back', async () => {
    const lines = Array.from({ length: 500 }, (_, at) => {
      return entryLine(`${at}`, { event: `id: ${at}\ndata: ${'x'.repeat(1000)}\n\n` })
    })
    await imported(lines)
    await on('prune', ['--keep-count', '10'])
    const { code, out } = await on('compact')
    expect(code).toBe(0)
    expect(out).toMatch(/^gave \d+\.\d KiB back: written anew, \d+\.\d KiB before and \d+\.\d KiB now\n$/)
    expect((await on('compact')).out).toStartWith('gave 0 B back')
  })
})

describe('cinnabar history export and import', () => {
  test('the lines of an export are those of the import', async () => {
    const lines = [entryLine('a'), entryLine('b', { private: true, topics: ['t', 'ü\u2028'], at: 2000 })]
    const [first = '', second = ''] = lines
    expect(await imported([first, '', second])).toEqual({ code: 0, out: 'imported 2 entries\n', err: '' })
    expect(await exportedLines()).toEqual(lines)
    expect(await exportedLines(['--after', 'a'])).toEqual([second])
  })

  test('an import from a file goes on after what is there', async () => {
    await imported([entryLine('a')])
    const file = join(folder, 'more.jsonl')
    await Bun.write(file, `${entryLine('b')}\n${entryLine('c')}`)
    expect(await on('import', [file])).toMatchObject({ code: 0, out: 'imported 2 entries\n' })
    expect((await exportedLines()).map((line) => JSON.parse(line).id)).toEqual(['a', 'b', 'c'])
  })

  test('an export never replaces a file, and only its owner can read it', async () => {
    await imported([entryLine('a')])
    const file = join(folder, 'export.jsonl')
    expect((await on('export', ['--output', file])).code).toBe(0)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await on('export', ['--output', file])).toMatchObject({
      code: 1,
      err: expect.stringContaining('EEXIST'),
    })
    expect(await on('export', ['--output', history])).toMatchObject({ code: 1 })
  })

  test('an id that is not there, a file that is not there, and --salvage with --after are refused', async () => {
    await imported([entryLine('a')])
    expect((await on('export', ['--after', 'nobody'])).code).toBe(1)
    expect((await on('import', [join(folder, 'missing')])).code).toBe(1)
    expect((await on('import')).code).toBe(2)
    expect((await on('export', ['--salvage', '--after', 'a'])).code).toBe(2)
  })

  const wrong: readonly (readonly [line: string, message: string])[] = [
    ['{"id":', 'is not JSON'],
    ['[]', 'has no id'],
    ['7', 'is not an object'],
    [entryLine('b', { id: undefined }), 'has no id'],
    [entryLine('b', { more: 1 }), 'has a member that no entry has'],
    [entryLine('b', { id: 7 }), 'has a wrong id: it is not a text'],
    [entryLine('b', { id: '' }), 'has a wrong id: it is empty'],
    [entryLine('#b'), 'has a wrong id: it is reserved'],
    [entryLine('earliest'), 'has a wrong id: it is reserved'],
    [entryLine('b\u0007'), 'has a wrong id: it holds a forbidden character'],
    [entryLine('b', { topics: [] }), 'has a wrong topics: it is empty'],
    [entryLine('b', { topics: 't' }), 'has a wrong topics: it is not a list'],
    [entryLine('b', { topics: ['t', 'u\n'] }), 'has a wrong topics[1]: it holds a forbidden character'],
    [entryLine('b', { private: 'no' }), 'has a wrong private: it is neither true nor false'],
    [entryLine('b', { at: '2030-01-01' }), 'has a wrong at: it is not a number'],
    [entryLine('b', { at: 1.5 }), 'has a wrong at: it is not a whole number'],
    [entryLine('b', { at: -1 }), 'has a wrong at: it is before 1970'],
    [entryLine('b', { at: 999 }), 'is older than the entry before it'],
    ...[
      'id: b\ndata: x\n',
      'id: other\ndata: x\n\n',
      'data: x\n\n',
      'id: b\n\n',
      'id: b\ndata: x\n\nid: b\ndata: y\n\n',
      'id: b\ndata: x\n\n:\n',
      ':\nid: b\ndata: x\n\n',
      'id: b\r\ndata: x\r\n\r\n',
      'data: x\nid: b\n\n',
      'id: b\ndata: x\n\nretry: 1\n\n',
      '\ufeffid: b\ndata: x\n\n',
      '',
    ].map((event) => [entryLine('b', { event }), 'has an event that is not one whole event'] as const),
  ]
  test.each(wrong)('line %j is refused with its number', async (line, message) => {
    const { code, out, err } = await imported([entryLine('a'), line, entryLine('c')])
    expect([code, out]).toEqual([1, ''])
    expect(err).toStartWith(`cinnabar history import: line 2 ${message}`)
    expect(err).toEndWith('nothing was stored\n')
    expect(await exportedLines()).toEqual([])
  })

  test('batches before the wrong line are stored, its own is not', async () => {
    const lines = Array.from({ length: 300 }, (_, at) => entryLine(`${at}`))
    const { code, err } = await imported([...lines, 'wrong'])
    expect([code, err]).toEqual([
      1,
      expect.stringContaining('line 301 is not JSON; everything up to line 250 is stored'),
    ])
    expect(await exportedLines()).toEqual(lines.slice(0, 250))
  })

  test('whatever the hub encodes is one line, and comes back as it was', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 })
    const safe = text.filter((value) => isProtocolString(value) && value !== '')
    const id = safe.filter((value) => !value.startsWith('#') && value !== 'earliest')
    const data = fc
      .array(fc.oneof(text, fc.constantFrom('\n', '\r', '\r\n', ' ', ':', '\0', 'id: x')))
      .map((parts) => parts.join(''))
    const update = fc.record({
      id,
      data: data.filter((value) => value.isWellFormed()),
      type: fc.option(safe.filter((value) => value !== 'mercure')),
      retryMs: fc.option(fc.nat()),
      topics: fc.array(safe, { minLength: 1 }),
      private: fc.boolean(),
      at: fc.maxSafeNat(),
    })
    fc.assert(
      fc.property(update, ({ data, type, retryMs, ...address }) => {
        const entry = { ...address, frame: encode({ data, type, retryMs }, address.id) }
        const line = formatLine(entry)
        expect(line.indexOf('\n')).toBe(line.length - 1)
        expect(parseLine(line)).toEqual({ ...entry, frame: new Uint8Array(entry.frame) })
      }),
    )
  })
})

describe('cinnabar history backup', () => {
  const backup = () => join(folder, 'backup.db')

  test('the file holds every entry with its id, and is for its owner alone', async () => {
    await imported(['a', 'b', 'c'].map((id) => entryLine(id)))
    const before = await exportedLines()
    const { code, out } = await on('backup', [backup()])
    expect([code, out]).toEqual([0, expect.stringContaining(`backed up to ${backup()}: 3 entries in `)])
    expect((statSync(backup()).mode & 0o777).toString(8)).toBe('600')
    history = backup()
    expect(await exportedLines()).toEqual(before)
  })

  test('a file, a link or the journal of another file at its place is never replaced', async () => {
    await imported([entryLine('a')])
    await Bun.write(backup(), 'mine')
    expect(await on('backup', [backup()])).toMatchObject({
      code: 1,
      err: expect.stringContaining('is there already'),
    })
    expect(await Bun.file(backup()).text()).toBe('mine')
    const other = join(folder, 'other.db')
    await Bun.write(`${other}-wal`, 'of another file')
    expect((await on('backup', [other])).code).toBe(1)
    expect(await Bun.file(other).exists()).toBe(false)
  })

  test('nothing is left where it fails: no folder, no history, a damaged history', async () => {
    const nowhere = await on('backup', [join(folder, 'missing', 'backup.db')])
    expect([nowhere.code, nowhere.err]).toEqual([1, expect.stringContaining('no history file')])
    await imported(Array.from({ length: 50 }, (_, at) => entryLine(String(at), { event: event(at) })))
    const placeless = await on('backup', [join(folder, 'missing', 'backup.db')])
    expect([placeless.code, placeless.err]).toEqual([
      1,
      expect.stringContaining('missing/backup.db cannot be made'),
    ])
    const bytes = Buffer.from(await Bun.file(history).bytes())
    bytes[bytes.indexOf('mark of 20')] = 'M'.charCodeAt(0)
    await Bun.write(history, bytes)
    const damaged = await on('backup', [backup()])
    expect([damaged.code, damaged.err]).toEqual([1, expect.stringContaining(`${history} is damaged`)])
    expect(readdirSync(folder).filter((name) => name.includes('backup'))).toEqual([])
  })

  function event(at: number): string {
    return `id: ${at}\ndata: mark of ${at} ${'.'.repeat(500)}\n\n`
  }
})

test('bytes are shown in the largest unit that fits', () => {
  expect([0, 1023, 1024, 1536, 1 << 20, 2 ** 50].map(bytesText)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '1.0 MiB',
    '1024.0 TiB',
  ])
})
