import { mint } from '../auth/mint.ts'
import type { Settings } from '../config/load.ts'

/** What `serve --dev` prints: the hub, tokens for this run, and two lines to paste, each on its own. */
export async function devLines(settings: Settings, address: string): Promise<string> {
  const url = `${address}${settings.hub.path}`
  const audience = settings.hub.resourceIdentifier ?? url
  const publisher = await devToken(settings, 'publisher', audience)
  const subscriber = await devToken(settings, 'subscriber', audience)
  const topic = 'https://example.com/books/1'
  const reader = settings.hub.anonymous ? '' : ` -H 'Authorization: Bearer ${subscriber}'`
  return `
Hub:               ${url}
Publisher token:   ${publisher}
Subscriber token:  ${subscriber}

Subscribe, then publish from another terminal:

curl -sN '${url}?match=${topic}'${reader}
curl -s '${url}' -H 'Authorization: Bearer ${publisher}' -d 'topic=${topic}' -d 'data=hello'

`
}

/** A token for everything, for a day. Empty where the first issuer has no key that could sign one. */
async function devToken(
  settings: Settings,
  role: 'publisher' | 'subscriber',
  audience: string,
): Promise<string> {
  const [issuer] = settings.issuers
  const keys = issuer?.[role]
  if (issuer === undefined || keys?.key === undefined || keys.algorithm === undefined) return ''
  const now = Date.now()
  return await mint({
    key: keys.key,
    algorithm: keys.algorithm,
    issuer: issuer.id,
    audience,
    subject: 'dev',
    clientId: 'dev',
    id: crypto.randomUUID(),
    issuedAt: now,
    expiresAt: now + 24 * 60 * 60 * 1000,
    rights: role === 'publisher' ? { publish: ['*'] } : { subscribe: ['*'] },
  })
}
