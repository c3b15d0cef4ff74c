import { withoutPasswords } from '../config/addresses.ts'
import type { Arguments, Option } from './arguments.ts'
import { CommandFailure, type CommandIo, UsageError } from './command.ts'
import { reasonOf } from './failure.ts'
import { firstLine, quoted } from './printable.ts'

/** The common parts of commands that talk to a hub. */

const DEFAULT_HUB = 'http://127.0.0.1:3000/.well-known/mercure'

/** The options that say whose certificates a command trusts. */
export const tlsOptions: readonly Option[] = [
  { name: 'ca-file', takes: 'FILE', help: 'trusts the authorities in this PEM file, and no others' },
  { name: 'insecure', takes: null, help: 'believes any certificate, also that of somebody in between' },
]

/** The options that name the token of a command. */
export const tokenOptions: readonly Option[] = [
  { name: 'token', takes: 'TOKEN', help: 'default: CINNABAR_TOKEN' },
  {
    name: 'token-file',
    takes: 'FILE',
    help: 'the token is in this file, where no list of processes shows it',
  },
]

/** The options of a command that talks to a hub. */
export const hubOptions: readonly Option[] = [
  { name: 'hub', takes: 'URL', help: `the hub; default: ${DEFAULT_HUB}` },
  ...tokenOptions,
  ...tlsOptions,
]

/** The URL of the hub. An origin alone stands for the well-known path on it. */
export function targetUrl(args: Arguments): URL {
  const written = args.value('hub') ?? DEFAULT_HUB
  const url = URL.parse(written)
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new UsageError(`--hub is not an http or https URL: ${quoted(withoutPasswords(written))}`)
  }
  if (url.pathname === '/') url.pathname = new URL(DEFAULT_HUB).pathname
  return url
}

/** The header field with the token, when there is one. */
export function authorization(args: Arguments, io: CommandIo): Record<string, string> {
  const token = tokenOf(args, io)
  return token === '' ? {} : { Authorization: `Bearer ${token}` }
}

/** Whether a token goes with the requests. */
export function hasToken(args: Arguments, io: CommandIo): boolean {
  return tokenOf(args, io) !== ''
}

/** The token of the command line, its file or the environment; empty: none. Throws without repeating it. */
export function tokenOf(args: Arguments, io: CommandIo): string {
  if (args.has('token') && args.has('token-file'))
    throw new UsageError('--token and --token-file are both given')
  const token = args.value('token') ?? tokenFrom(args, io) ?? io.env['CINNABAR_TOKEN'] ?? ''
  if (!/^[\x21-\x7e]*$/.test(token)) throw new UsageError('the token holds characters that no token has')
  return token
}

function tokenFrom(args: Arguments, io: CommandIo): string | null {
  const text = fileOf(args, 'token-file', io)?.trim() ?? null
  if (text === '') throw new CommandFailure('--token-file holds no token')
  return text
}

/** Whose certificates are trusted: no member for the authorities of the runtime. */
export interface Trust {
  readonly ca?: string
  readonly rejectUnauthorized?: boolean
}

/** The trust that the command line gives to certificates, or null for the usual one. */
export function trustOf(args: Arguments, io: CommandIo): Trust | null {
  if (args.has('insecure')) {
    if (args.has('ca-file')) throw new UsageError('--insecure and --ca-file are both given')
    return { rejectUnauthorized: false }
  }
  const ca = fileOf(args, 'ca-file', io)
  if (ca === null) return null
  if (!ca.includes('-----BEGIN CERTIFICATE-----'))
    throw new CommandFailure('--ca-file holds no certificate in PEM')
  return { ca }
}

/** The same as an option of a request. */
export function tlsOf(args: Arguments, io: CommandIo): Pick<BunFetchRequestInit, 'tls'> {
  const trust = trustOf(args, io)
  return trust === null ? {} : { tls: trust }
}

/** The text of the file that an option names, or null without the option. */
function fileOf(args: Arguments, option: string, io: CommandIo): string | null {
  const file = args.value(option)
  if (file === null) return null
  try {
    return io.readFile(file)
  } catch (error) {
    throw new CommandFailure(`--${option} cannot be read: ${reasonOf(error)}`)
  }
}

/** Explains a refusal to the sender of the request, in the words of the hub where it has any. Never rejects. */
export async function explainAnswer(response: Response, isWithToken: boolean): Promise<string> {
  return explain(response, await reasonIn(response), isWithToken)
}

/** Explains a refusal of which only the status is known. */
export function explainRefusal(response: Response): string {
  return explain(response, '', true)
}

function explain({ status, headers }: Response, reason: string, isWithToken: boolean): string {
  const error = /error="([a-z_]+)"/.exec(headers.get('WWW-Authenticate') ?? '')?.[1]
  const { meaning, advice = '' } = meaningOf(status, headers)
  const help = status === 401 && !isWithToken ? TOKEN_MISSING : advice
  const words = [reason === '' ? meaning : reason, help].filter((part) => part !== '').join('; ')
  return `the hub answers ${status}${error === undefined ? '' : ` ${error}`}${words === '' ? '' : `: ${words}`}`
}

interface Meaning {
  /** The explanation where the hub says nothing. */
  readonly meaning: string
  /** A remedy for the user. */
  readonly advice?: string
}

function meaningOf(status: number, headers: Headers): Meaning {
  if (status >= 300 && status < 400) return { meaning: redirection(headers) }
  return meanings[status] ?? { meaning: '' }
}

const TOKEN_MISSING =
  'give one with --token, --token-file or CINNABAR_TOKEN; cinnabar token explain TOKEN says what one is worth'

const meanings: Readonly<Record<number, Meaning>> = {
  400: { meaning: 'the request is not valid' },
  401: {
    meaning: 'a valid token is needed',
    advice: 'cinnabar token explain TOKEN says what is wrong with one',
  },
  403: { meaning: 'the token does not grant this' },
  404: { meaning: 'there is no hub at this URL', advice: 'give the URL of the hub with --hub' },
  405: { meaning: 'the hub does not allow this', advice: 'it may have no key for it' },
  413: { meaning: 'the update is larger than the hub allows' },
  421: {
    meaning: 'the hub does not answer on this origin',
    advice: 'give --hub with an origin that is among its hub.public_urls',
  },
  429: { meaning: 'too many of them; try again later' },
  503: { meaning: 'the hub cannot do it now; try again later' },
}

function redirection(headers: Headers): string {
  const location = firstLine(headers.get('Location') ?? 'nowhere', REASON_MAX)
  return `it redirects to ${location}; give that as --hub if you trust it`
}

/** The first line of a text that the hub sends along. A page for people is none; the command does not wait long. */
async function reasonIn({ headers, body }: Response): Promise<string> {
  const isText = /^text\/plain\s*(;|$)/i.test(headers.get('Content-Type') ?? '')
  const reader = body?.getReader()
  if (reader === undefined) return ''
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), REASON_MS)
  const decoder = new TextDecoder()
  let text = ''
  try {
    while (isText && text.length < REASON_MAX && !text.trimStart().includes('\n')) {
      const { done, value } = await reader.read()
      if (done) break
      text += decoder.decode(value, { stream: true })
    }
    await reader.cancel()
  } catch {
    // The connection broke off: the message has the text that had come by then.
  }
  clearTimeout(timer)
  return firstLine(text, REASON_MAX)
}

const REASON_MAX = 200
const REASON_MS = 1000
