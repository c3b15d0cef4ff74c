import type { Arguments, CommandLine } from '../command/arguments.ts'
import { CommandFailure, type CommandIo, type ExitCode, readInput, runCommand } from '../command/command.ts'
import { reasonOf } from '../command/failure.ts'
import {
  authorization,
  explainAnswer,
  hasToken,
  hubOptions,
  targetUrl,
  tlsOf,
} from '../command/hub-request.ts'
import { readValue } from '../command/numbers.ts'
import { printable } from '../command/printable.ts'
import { parseDuration } from '../config/values.ts'

/** The command line of the command. */
export const line: CommandLine = {
  name: 'publish',
  usage: 'TOPIC… [--data TEXT] [--private] [--id ID] [--type TYPE] [--retry TIME]',
  summary: `Publishes one update and prints its id. The first topic is canonical, the others are alternates.
Without --data the content is the standard input up to its end, as it is, unless that is a terminal: nothing is read
from one. Give --data '' for an update without content where the standard input is one that never ends, or belongs to
somebody else, as in a loop that reads a file.`,
  options: [
    { name: 'data', takes: 'TEXT', help: 'the content; -, and a pipe without it: the standard input' },
    { name: 'private', takes: null, help: 'only for subscribers whose token grants a topic' },
    { name: 'id', takes: 'ID', help: 'the id; default: the hub makes one' },
    { name: 'type', takes: 'TYPE', help: 'the event type' },
    {
      name: 'retry',
      takes: 'TIME',
      help: 'reconnection time of the readers, such as 2s, or in milliseconds',
    },
    ...hubOptions,
  ],
  hasSettings: false,
  positionals: { min: 1, max: Number.POSITIVE_INFINITY },
}

/** `cinnabar publish TOPIC…`. */
export function runPublish(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  return runCommand(line, argv, io, async (args) => {
    const url = targetUrl(args)
    const access = { headers: authorization(args, io), ...tlsOf(args, io) }
    const init = { method: 'POST', body: await form(args, io), redirect: 'manual' as const, ...access }
    const response = await io.fetch(url.href, { ...init, signal: io.interrupted }).catch((error) => {
      throw new CommandFailure(`${url.origin} does not answer: ${reasonOf(error)}`)
    })
    if (response.status !== 200) {
      throw new CommandFailure(await explainAnswer(response, hasToken(args, io)))
    }
    const id = await response.text()
    io.stdout(`${io.isTerminal ? printable(id) : id}\n`)
    return 0
  })
}

async function form(args: Arguments, io: CommandIo): Promise<URLSearchParams> {
  const fields = new URLSearchParams(args.positionals.map((topic) => ['topic', topic]))
  const data = await dataOf(args, io)
  if (data !== null) fields.set('data', data)
  if (args.has('private')) fields.set('private', 'on')
  for (const name of ['id', 'type']) {
    const value = args.value(name)
    if (value !== null) fields.set(name, value)
  }
  const retry = args.value('retry')
  if (retry !== null) fields.set('retry', retryOf(retry))
  return fields
}

/** The data of the update, or null. The command waits for an input that never ends, but not in silence. */
async function dataOf(args: Arguments, io: CommandIo): Promise<string | null> {
  const data = args.value('data')
  if (data !== null && data !== '-') return data
  if (data === null && io.isInputTerminal()) return null
  const read = new AbortController()
  const remind = io.sleep(REMINDER_MS, read.signal).then(() => {
    if (!read.signal.aborted) io.stderr(REMINDER)
  })
  try {
    return await readInput(io)
  } finally {
    read.abort()
    await remind
  }
}

const REMINDER_MS = 3000
const REMINDER =
  'cinnabar publish: waiting for the end of the standard input; --data TEXT is published without it\n'

function retryOf(written: string): string {
  if (/^[0-9]+$/.test(written)) return written
  return String(readValue('retry', written, parseDuration))
}
