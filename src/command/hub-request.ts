import type { Arguments, Option } from './arguments.ts'
import { type CommandIo, UsageError } from './command.ts'

/** What the commands that talk to a hub have in common. */

const DEFAULT_HUB = 'http://127.0.0.1:3000/.well-known/mercure'

/** The options of a command that talks to a hub. */
export const hubOptions: readonly Option[] = [
  { name: 'hub', takes: 'URL', help: `the hub; default: ${DEFAULT_HUB}` },
  { name: 'token', takes: 'TOKEN', help: 'default: CINNABAR_TOKEN' },
]

/** The URL of the hub. An origin alone stands for the well-known path on it. */
export function hubUrl(args: Arguments): URL {
  const url = URL.parse(args.value('hub') ?? DEFAULT_HUB)
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new UsageError('--hub is not an http or https URL')
  }
  if (url.pathname === '/') url.pathname = new URL(DEFAULT_HUB).pathname
  return url
}

/** The header field with the token, when there is one. */
export function authorization(args: Arguments, io: CommandIo): Record<string, string> {
  const token = args.value('token') ?? io.env['CINNABAR_TOKEN'] ?? ''
  if (!/^[\x21-\x7e]*$/.test(token)) throw new UsageError('the token holds characters that no token has')
  return token === '' ? {} : { Authorization: `Bearer ${token}` }
}

/** What a refusal means for whoever sent the request. */
export function explainRefusal({ status, headers }: Response): string {
  const hint = hints[status] ?? (status >= 300 && status < 400 ? redirection(headers) : null)
  const error = /error="([a-z_]+)"/.exec(headers.get('WWW-Authenticate') ?? '')?.[1]
  return `the hub answers ${status}${error === undefined ? '' : ` ${error}`}${hint === null ? '' : `: ${hint}`}`
}

const hints: Readonly<Record<number, string>> = {
  400: 'the request is not valid',
  401: 'a valid token is needed; cinnabar token explain TOKEN says what is wrong with one',
  403: 'the token does not grant this',
  404: 'there is no hub at this URL',
  405: 'the hub does not allow this; it may have no key for it',
  413: 'the update is larger than the hub allows',
  421: 'the hub does not answer on this origin',
  429: 'too many of them; try again later',
  503: 'the hub cannot do it now; try again later',
}

function redirection(headers: Headers): string {
  return `it redirects to ${headers.get('Location') ?? 'nowhere'}; give that as --hub if you trust it`
}
