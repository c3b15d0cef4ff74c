import { listenOf } from '../../config/borrowed/container.ts'
import type { Directive } from './blocks.ts'
import type { Draft } from './draft.ts'
import { readHubBlock } from './hub-block.ts'
import { nameOf } from './keys.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** A `mercure` block with the site that it is in. */
interface HubSite {
  readonly site: Directive
  readonly hub: Directive
}

/** Reads the hub of a Caddyfile into the draft. Answers whether there is one. */
export function readSites(top: readonly Directive[], draft: Draft, env: Environment): boolean {
  const sites = top.filter(({ name }) => name !== '')
  const found = sites.flatMap((site) => hubsIn(site).map((hub): HubSite => ({ site, hub })))
  const [first, ...others] = found
  if (first === undefined) return false
  for (const { hub } of others) draft.problem(hub.line, 'a second hub: run one cinnabar for each')
  for (const one of top) {
    if (one.name === 'import') draft.problem(one.line, 'an import that is not followed')
    else if (one.name === '' && one.block !== null) readGlobals(one.block, draft)
  }
  if (first.hub.args.length > 0)
    draft.problem(first.hub.line, 'mercure selects requests for the hub; see hub.path')
  readHubBlock(first.hub.block ?? [], draft, env)
  readSite(first.site.block ?? [], first.hub, draft)
  readAddresses(first.site, draft)
  return true
}

function hubsIn({ block }: Directive): readonly Directive[] {
  return (block ?? []).flatMap((one) => (one.name === 'mercure' ? [one] : hubsIn(one)))
}

/** The lines of imports that nobody follows: what is looked for may be behind them. */
export function importLines(top: readonly Directive[]): readonly number[] {
  return top.flatMap(({ name, line, block }) => (name === 'import' ? [line] : importLines(block ?? [])))
}

/** Global options are Caddy's own; a few of them change where the hub is reached. */
function readGlobals(options: readonly Directive[], draft: Draft): void {
  for (const one of options) {
    const hint = Object.hasOwn(optionHints, one.name) ? optionHints[one.name] : undefined
    if (hint === undefined) draft.remark(one.line, `${nameOf(one)}: an option of Caddy`)
    else draft.problem(one.line, `${one.name} is not taken over: see ${hint}`)
  }
}

const optionHints: Readonly<Record<string, string>> = {
  auto_https: 'listen, tls.cert_file and tls.key_file',
  default_bind: 'listen',
  http_port: 'listen',
  https_port: 'listen',
  import: 'the file that it names',
  mercure: 'the documentation of the other hub: its directives belong to a site',
  servers: 'proxy.trusted, http2 and http3',
}

/** Directives of Caddy that keep somebody out. Without them the hub would answer where it did not. */
const guards: Readonly<Record<string, string>> = {
  abort: 'a proxy',
  authenticate: 'a proxy',
  authorize: 'a proxy',
  basic_auth: 'a proxy',
  basicauth: 'a proxy',
  bind: 'listen',
  forward_auth: 'a proxy',
  rate_limit: 'limits.publish_rate and limits.subscribers_per_ip',
  request_body: 'limits.body',
}

/** The directives around the hub. They may be in routes and handlers, which select requests. */
function readSite(block: readonly Directive[], hub: Directive, draft: Draft): void {
  for (const one of block) {
    if (one === hub) continue
    if (hubsIn(one).includes(hub)) {
      if (one.args.length > 0)
        draft.problem(one.line, `${nameOf(one)} selects requests for the hub; see hub.path`)
      readSite(one.block ?? [], hub, draft)
    } else if (one.name === 'tls') readTls(one, draft)
    else if (Object.hasOwn(guards, one.name))
      draft.problem(one.line, `${one.name} is not taken over: see ${guards[one.name]}`)
    else if (one.name === 'import') draft.problem(one.line, 'an import that is not followed')
    else draft.remark(one.line, `${nameOf(one)}: a directive of Caddy, and none of the hub`)
  }
}

function readTls({ args, line }: Directive, draft: Draft): void {
  const [cert, key, ...more] = args
  if (cert === undefined || key === undefined || more.length > 0) {
    draft.problem(
      line,
      'tls: this hub takes a certificate and a key from files, tls.cert_file and tls.key_file',
    )
    return
  }
  draft.set('tls.cert_file', cert, `line ${line}: tls`)
  draft.set('tls.key_file', key, '')
}

/** The addresses of the site: where to listen, and the origins that clients know. */
function readAddresses({ name, args, line, block }: Directive, draft: Draft): void {
  const sites = [name, ...args].flatMap((word) => word.split(',')).filter((site) => site !== '')
  const hasTls = (block ?? []).some((one) => one.name === 'tls' && one.args.length === 2)
  const listen = sites.map((site) => listenOf(site, hasTls))
  const origins = sites.map(originOf).filter((origin) => origin !== null)
  if (!sites.every((site) => /^(https?:\/\/)?(\[[\da-fA-F:.]+\]|[\p{L}\d.-]*)(:\d{1,5})?\/?$/u.test(site))) {
    draft.problem(line, 'the address of the site is not understood: see listen and hub.public_urls')
    return
  }
  if (listen.includes(null)) {
    draft.problem(
      line,
      'Caddy gets certificates for this site by itself, and this hub does not: set tls.cert_file, tls.key_file and ' +
        'listen, or put a proxy in front of it',
    )
  } else
    draft.set(
      'listen',
      [...new Set(listen)].filter((address) => address !== null),
      `line ${line}: the site`,
    )
  if (origins.length === 0)
    draft.remark(line, 'hub.public_urls: the origins that clients use, such as that of a proxy')
  else draft.set('hub.public_urls', [...new Set(origins)], `line ${line}: the site`)
}

/**
 * The origin that clients of a site with HTTPS use. Null where the address does not say it: a site without HTTPS is
 * behind a proxy, whose origin the hub must know, and one without a host is reached by any.
 */
function originOf(site: string): string | null {
  const [, scheme, host = '', port] = /^(?:(https?):\/\/)?([A-Za-z0-9.-]*)(?::(\d+))?\/?$/.exec(site) ?? []
  const isPublic = host.includes('.') && !/^[0-9.]+$/.test(host)
  if (!isPublic || scheme === 'http' || port === '80') return null
  return URL.parse(`https://${host}${port === undefined ? '' : `:${port}`}`)?.origin ?? null
}
