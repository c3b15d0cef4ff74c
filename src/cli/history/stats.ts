import type { Arguments, CommandLine } from '../../command/arguments.ts'
import type { CommandIo, ExitCode } from '../../command/command.ts'
import { bytesText, countText } from '../../command/quantity.ts'
import { count } from '../../config/values.ts'
import { type ServerStats, serverStats } from '../../history/server.ts'
import { type EntryMark, type HistoryStats, historyStats } from '../../history/stats.ts'
import type { TopicShare } from '../../history/topic-shares.ts'
import { logOf, readOption, runOnHistory, settingsUsage } from './tool.ts'

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
  return runOnHistory(
    line,
    argv,
    io,
    async ({ args, path }) => {
      const stats = await historyStats(path, topOf(args))
      io.stdout(args.has('json') ? `${JSON.stringify(withDates(stats))}\n` : table(stats))
      return 0
    },
    async (task) => {
      const stats = await serverStats(logOf(task), topOf(task.args))
      io.stdout(task.args.has('json') ? `${JSON.stringify(withDates(stats))}\n` : serverTable(stats))
      return 0
    },
  )
}

function topOf(args: Arguments): number {
  return readOption(args, 'top', count({ zero: true, example: '10' }).read) ?? 10
}

function withDates(stats: HistoryStats | ServerStats): object {
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
  return `${figuresText(rows)}${sharesText(stats)}`
}

function serverTable(stats: ServerStats): string {
  const { nodes } = stats
  const running = nodes === 0 ? 'no hub is running on it' : `${countText(nodes, 'hub', 'hubs')} running on it`
  const rows: readonly (readonly [string, string])[] = [
    ['History', `${stats.server} (${running})`],
    ['Entries', countText(stats.rows, 'entry', 'entries')],
    ['Stored bytes', bytesText(stats.bytes)],
    ['Oldest', markText(stats.oldest)],
    ['Newest', markText(stats.newest)],
    ['Dropped', countText(stats.dropped, 'entry', 'entries')],
    ['Places', countText(stats.places, 'place', 'places')],
    ['Topics', countText(stats.topicCount, 'canonical topic', 'canonical topics')],
  ]
  return `${figuresText(rows)}${sharesText(stats)}`
}

function figuresText(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([name, value]) => `${name.padEnd(14)}${value}\n`).join('')
}

type Shares = Pick<HistoryStats, 'rules' | 'topicsByRows' | 'topicsByBytes'>

function sharesText(stats: Shares): string {
  const rules = stats.rules.map(({ rule, ...share }) => ({ ...share, topic: rule }))
  return [
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
