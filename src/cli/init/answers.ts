import type { Arguments } from '../../command/arguments.ts'
import { type CommandIo, UsageError } from '../../command/command.ts'
import { quoted } from '../../command/printable.ts'

/** The decisions of an operator, from the command line or asked for. */
export interface Answers {
  readonly listen: string
  /** The origin that clients use. */
  readonly publicUrl: string
  readonly corsOrigins: readonly string[]
  readonly issuer: string
  readonly isAnonymous: boolean
  /** Addresses of proxies; empty: none. */
  readonly proxies: readonly string[]
  readonly isBehindProxy: boolean
  /** The hub's own certificate with its key, or null. */
  readonly certificate: { readonly certFile: string; readonly keyFile: string } | null
}

/** The answers of the user, who is asked on a terminal where the command line says nothing. Throws a UsageError. */
export function answersOf(args: Arguments, io: CommandIo): Answers {
  const asker = new Asker(io.isInputTerminal() && io.isTerminal && !args.has('yes'), io)
  const publicUrl = originOf(
    args.value('public-url') ??
      asker.text('The origin that clients use, such as https://hub.example.com:', ''),
  )
  const corsOrigins = args.has('cors-origin')
    ? args.values('cors-origin')
    : asker.words('Origins of the pages that read from it, when they are others (blank: none):')
  const certificate = certificateOf(args)
  const proxies = proxiesOf(args, publicUrl, certificate !== null, asker)
  const isAnonymous =
    args.has('anonymous') || asker.yes('May everybody read public updates without a token? [y/N]')
  return {
    listen: args.value('listen') ?? listenOf(publicUrl, proxies.length > 0),
    publicUrl: publicUrl.origin,
    corsOrigins,
    issuer: args.value('issuer') ?? corsOrigins[0] ?? publicUrl.origin,
    isAnonymous,
    proxies,
    isBehindProxy: proxies.length > 0,
    certificate,
  }
}

/** Asks on a terminal; elsewhere every answer is the usual one. */
class Asker {
  readonly #isAsking: boolean
  readonly #io: CommandIo

  constructor(isAsking: boolean, io: CommandIo) {
    this.#isAsking = isAsking
    this.#io = io
  }

  text(question: string, usual: string): string {
    if (!this.#isAsking) return usual
    const answer = this.#io.ask(question)
    if (answer === null && usual === '') throw new UsageError('the input has ended before the answers')
    return answer?.trim() || usual
  }

  words(question: string): readonly string[] {
    if (!this.#isAsking) return []
    return (this.#io.ask(question) ?? '').split(/[\s,]+/).filter((word) => word !== '')
  }

  yes(question: string): boolean {
    return this.#isAsking && /^\s*y/i.test(this.#io.ask(question) ?? '')
  }
}

function originOf(written: string): URL {
  if (written === '') throw new UsageError('--public-url is needed: the origin that clients use')
  const url = URL.parse(written)
  const isOrigin = url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === ''
  if (!isOrigin || url.username !== '' || url.hash !== '')
    throw new UsageError(`--public-url is no origin such as https://hub.example.com: ${quoted(written)}`)
  return url
}

function certificateOf(args: Arguments): Answers['certificate'] {
  const [certFile, keyFile] = [args.value('cert-file'), args.value('key-file')]
  if (certFile === null && keyFile === null) return null
  if (certFile === null || keyFile === null) throw new UsageError('--cert-file and --key-file go together')
  return { certFile, keyFile }
}

/** Somebody speaks TLS for a hub that clients reach by https and that has no certificate. */
function proxiesOf(args: Arguments, url: URL, hasCertificate: boolean, asker: Asker): readonly string[] {
  if (args.has('proxy')) return args.values('proxy')
  if (hasCertificate || url.protocol === 'http:') return []
  const answer = asker.text(
    'The address of the proxy that speaks TLS, as the hub sees it [127.0.0.1]:',
    LOCAL,
  )
  return answer === LOCAL ? ['127.0.0.1', '::1'] : [answer]
}

const LOCAL = '127.0.0.1'

/** Behind a proxy this machine alone; else where the URL says. */
function listenOf(url: URL, isBehindProxy: boolean): string {
  if (isBehindProxy) return '127.0.0.1:3000'
  const isLocal = url.hostname === 'localhost' || url.hostname === LOCAL
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  return `${isLocal ? url.hostname : '0.0.0.0'}:${port}`
}
