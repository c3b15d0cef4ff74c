import { mint } from '../auth/mint.ts'
import type { KnownHub } from '../config/dev.ts'
import type { Settings } from '../config/load.ts'

/** The origin of the keys that sign the tokens of a hub for development. */
export type DevIssuer = 'kept' | 'of this run' | 'configured'

/**
 * The lines that `serve --dev` prints: the hub, a token or one for each role where the roles have keys of their own,
 * and two lines to paste, each on its own. `address` is the first one that the hub listens on,
 * `adminAddress` that of the admin listener.
 */
export async function devLines(
  settings: Settings,
  address: string,
  from: DevIssuer,
  adminAddress: string | null = null,
): Promise<string> {
  const { url, audience } = devHub(settings, address)
  const curl =
    settings.listen[0]?.kind === 'unix' ? `curl --unix-socket '${settings.listen[0].path}'` : 'curl'
  const tokens = await devTokens(settings, audience, from)
  const topic = 'https://example.com/books/1'
  const reader = settings.hub.anonymous ? '' : ` -H 'Authorization: Bearer ${tokens.subscriber}'`
  return `
Hub:    ${url}
${consoleLine(settings, adminAddress)}${tokenLines(tokens)}
${about[from]}

Subscribe, then publish from another terminal:

${curl} -sN '${url}?match=${topic}'${reader}
${curl} -s '${url}' -H 'Authorization: Bearer ${tokens.publisher}' -d 'topic=${topic}' -d 'data=hello'

`
}

/** The address of the console with its token in the fragment, which is never sent; empty without a console. */
function consoleLine({ admin }: Settings, address: string | null): string {
  if (!admin.console || admin.token === null || address === null || address.startsWith('unix:')) return ''
  return `Console: ${address}/#token=${encodeURIComponent(admin.token)}\n`
}

/** The place of the hub for a client on this machine: by the name `localhost` where the hub listens on that. */
export function devHub(settings: Settings, address: string): KnownHub {
  const { hub, issuers } = settings
  const [first] = settings.listen
  const isNamed = first?.kind === 'unix' || first?.host === 'localhost'
  const origin = first?.kind === 'unix' ? 'http://localhost' : address
  const url = `${isNamed ? origin.replace('//127.0.0.1:', '//localhost:') : origin}${hub.path}`
  return { url, issuer: issuers[0]?.id ?? '', audience: hub.resourceIdentifier ?? url }
}

const about: Readonly<Record<DevIssuer, string>> = {
  kept: 'Its key stays in .cinnabar-dev.json, so that it outlives a restart: keep that file out of version control.',
  'of this run': 'It is good for this run.',
  configured: 'It is good for a day.',
}

interface Tokens {
  readonly publisher: string
  readonly subscriber: string
}

function tokenLines({ publisher, subscriber }: Tokens): string {
  if (publisher === subscriber) return `Token:  ${publisher}`
  return `Publisher token:   ${publisher}\nSubscriber token:  ${subscriber}`
}

/** The tokens, which allow everything. Empty where the first issuer has no key that could sign one. */
async function devTokens(
  { issuers: [issuer] }: Settings,
  audience: string,
  from: DevIssuer,
): Promise<Tokens> {
  const [publisher, subscriber] = [issuer?.publisher, issuer?.subscriber]
  const isOne = publisher?.key === subscriber?.key && publisher?.algorithm === subscriber?.algorithm
  const sign = async (keys: typeof publisher, rights: Rights) => {
    if (issuer === undefined || keys?.key === undefined || keys.algorithm === undefined) return ''
    const { key, algorithm } = keys
    const who = { issuer: issuer.id, audience, subject: 'dev', clientId: 'dev' }
    return await mint({ key, algorithm, ...who, ...validity(from), rights })
  }
  const everything = { publish: ['*'], subscribe: ['*'] }
  return {
    publisher: await sign(publisher, isOne ? everything : { publish: ['*'] }),
    subscriber: await sign(subscriber, isOne ? everything : { subscribe: ['*'] }),
  }
}

type Rights = Parameters<typeof mint>[0]['rights']

/** Keys that the hub has made sign the same token at each start, and it never expires. Other keys sign for a day. */
function validity(from: DevIssuer) {
  if (from !== 'configured') return { id: 'dev', issuedAt: Date.UTC(2026, 0), expiresAt: Date.UTC(2100, 0) }
  const now = Date.now()
  return { id: crypto.randomUUID(), issuedAt: now, expiresAt: now + 24 * 60 * 60 * 1000 }
}
