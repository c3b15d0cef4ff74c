import type { CommandLine } from '../../command/arguments.ts'
import type { CommandIo, ExitCode } from '../../command/command.ts'
import { bytesText, countText } from '../../command/quantity.ts'
import { count } from '../../config/values.ts'
import { type EntryMark, type HistoryStats, historyStats, type TopicShare } from '../../history/stats.ts'
import { readOption, runOnHistory, settingsUsage } from './tool.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'history stats',
  usage: `[--top N] [--json] ${settingsUsage}`,
  summary: 'Says what the history holds and what takes most of it. It changes nothing.',
  options: [
    { name: 'top', takes: 'N', help: 'how many topics are listed; default: 10' },
    { name: 'json', takes: null, help: 'the same as one JSON object; times are ISO 8601' },
  ],
  hasSettings: true,
  positionals: { min: 0, max: 0 },
}

/** `cinnabar history stats`. */
export function runHistoryStats(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runOnHistory(line, argv, io, async ({ args, path }) => {
    const top = readOption(args, 'top', count({ zero: true, example: '10' }).read) ?? 10
    const stats = await historyStats(path, top)
    io.stdout(args.has('json') ? `${JSON.stringify(withDates(stats))}\n` : table(stats))
    return 0
  })
}

function withDates(stats: HistoryStats): object {
  return { ...stats, oldest: dated(stats.oldest), newest: dated(stats.newest) }
}

function dated(mark: EntryMark | null): object | null {
  return mark === null ? null : { id: mark.id, at: dateText(mark.at) }
}

function table(stats: HistoryStats): string {
  const rows: readonly (readonly [string, string])[] = [
    ['History', `${stats.path} (${stats.isRunning ? 'a hub is running on it' : 'no hub is running on it'})`],
    ['Entries', countText(stats.rows, 'entry', 'entries')],
    ['Stored bytes', bytesText(stats.bytes)],
    ['Oldest', markText(stats.oldest)],
    ['Newest', markText(stats.newest)],
    ['File', bytesText(stats.fileBytes)],
    ['Journal', bytesText(stats.journalBytes)],
    ['Free', freeText(stats)],
    ['Topics', countText(stats.topicCount, 'canonical topic', 'canonical topics')],
  ]
  const figures = rows.map(([name, value]) => `${name.padEnd(14)}${value}\n`).join('')
  const rules = stats.rules.map(({ rule, ...share }) => ({ ...share, topic: rule }))
  return [
    figures,
    shares('Rules', 'selects', rules),
    shares('Topics with most entries', 'topic', stats.topicsByRows),
    shares('Topics with most bytes', 'topic', stats.topicsByBytes),
  ].join('')
}

function freeText({ freePages, pageBytes }: HistoryStats): string {
  return `${countText(freePages, 'page', 'pages')}, ${bytesText(freePages * pageBytes)}`
}

function markText(mark: EntryMark | null): string {
  return mark === null ? '-' : `${dateText(mark.at)}  ${mark.id}`
}

function shares(title: string, what: string, list: readonly TopicShare[]): string {
  if (list.length === 0) return ''
  const lines = list.map(({ rows, bytes, topic }) => {
    return `${String(rows).padStart(9)}  ${bytesText(bytes).padStart(10)}  ${topic}\n`
  })
  return `\n${title}\n  entries       bytes  ${what}\n${lines.join('')}`
}

/** A time that no calendar has is shown as its number. */
function dateText(at: number): string {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString()
}
