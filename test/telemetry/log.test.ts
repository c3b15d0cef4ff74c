import { describe, expect, test } from 'bun:test'
import { EventLog, Log, type LogOptions } from '../../src/telemetry/log.ts'

/** A log and the lines that it wrote. */
function arrange(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const write = (line: string) => lines.push(line)
  return {
    lines,
    log: new Log({ write, format: 'json', level: 'info', clock: () => new Date(0), ...options }),
  }
}

const time = '1970-01-01T00:00:00.000Z'

describe('the log', () => {
  test('is one JSON object a line', () => {
    const { log, lines } = arrange()
    log.info('listening', { port: 3000, admin: null })
    expect(lines).toEqual([
      `${JSON.stringify({ time, level: 'info', message: 'listening', port: 3000, admin: null })}\n`,
    ])
  })

  test('is readable text on a terminal, and text of others stays on its line', () => {
    const { log, lines } = arrange({ format: 'pretty' })
    log.warn('key set not loaded', { problem: 'two\nlines', tries: 2 })
    expect(lines).toEqual([`${time} warn  key set not loaded problem="two\\nlines" tries=2\n`])
  })

  test('leaves out what is below its level, which may change', () => {
    const { log, lines } = arrange()
    log.debug('no')
    log.level = 'debug'
    log.debug('yes')
    log.level = 'error'
    log.warn('no')
    expect(lines.map((line) => JSON.parse(line).message)).toEqual(['yes'])
  })
})

test('publications that fail are told once when it begins and once when it is over', () => {
  const { log, lines } = arrange()
  const events = new EventLog(log)
  for (const kind of ['published', 'publish-failed', 'publish-failed', 'published', 'published'] as const) {
    events.observe(kind === 'published' ? { kind, ms: 1 } : { kind, problem: 'the disk is full' })
  }
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { time, level: 'error', message: 'publications fail', problem: 'the disk is full' },
    { time, level: 'info', message: 'publications are accepted again' },
  ])
})
