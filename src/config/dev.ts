import { formatAddress, type ListenAddress } from './addresses.ts'
import type { Given } from './given.ts'
import { findKey } from './names.ts'

/** The values of `--dev`: a hub for one developer on one machine. A value given in any other place wins. */

/** Secrets of the hub. They come from outside: nothing here is random. */
export interface DevKeys {
  readonly publisher: string
  readonly subscriber: string
  /** The hub that has these keys, for a command that speaks of it. */
  readonly hub?: KnownHub | null
}

/** A hub that has started, and the claims that its tokens must have. */
export interface KnownHub {
  readonly url: string
  /** The id of its issuer. */
  readonly issuer: string
  /** Its resource identifier. */
  readonly audience: string
}

/** The settings on which the values depend. */
export interface DevHub {
  /** The address of the hub, when it is given. */
  readonly listen: ListenAddress | null
  readonly path: string
  readonly hasTls: boolean
  readonly hasPublicUrls: boolean
  readonly hasIssuers: boolean
}

/** The values, to be used where nothing else is given. With null keys they have no issuer. */
export function devValues(hub: DevHub, keys: DevKeys | null): readonly Given[] {
  const local = 'http://localhost:*,http://127.0.0.1:*,http://[::1]:*'
  const known = isPlaced(hub) ? null : (keys?.hub ?? null)
  const origin = known?.issuer ?? originOf(hub)
  const values: (readonly [key: string, raw: unknown])[] = [
    ['listen', 'localhost:3000'],
    ['hub.anonymous', true],
    ['hub.subscriptions', true],
    ['hub.cookie_name', 'mercure_access_token'],
    ['hub.cors_origins', local],
    ['hub.publish_origins', local],
  ]
  if (known !== null) values.push(['hub.path', new URL(known.url).pathname])
  if (!hub.hasPublicUrls) {
    values.push(['hub.resource_identifier', known?.audience ?? `${origin}${hub.path}`])
  }
  if (keys !== null && !hub.hasIssuers) values.push(...issuer(origin, keys), ...console(keys))
  return values.map(([key, raw]) => given(key, raw))
}

/** The token of the console follows from a key, so that it outlives a restart where the key does. */
function console({ publisher }: DevKeys): readonly (readonly [key: string, raw: unknown])[] {
  const token = new Bun.CryptoHasher('sha256', publisher).update('console').digest('base64url')
  return [
    ['admin.console', true],
    ['admin.token', token],
    ['admin.payloads', 'all'],
  ]
}

function issuer(id: string, keys: DevKeys): readonly (readonly [key: string, raw: unknown])[] {
  return [
    ['issuers[].id', id],
    ['issuers[].publisher.key', keys.publisher],
    ['issuers[].publisher.algorithm', 'HS256'],
    ['issuers[].subscriber.key', keys.subscriber],
    ['issuers[].subscriber.algorithm', 'HS256'],
  ]
}

/** Whether the settings tell where the hub is. The system chooses another port for port 0 each time. */
function isPlaced({ listen }: DevHub): boolean {
  return listen !== null && !(listen.kind === 'tcp' && listen.port === 0)
}

function originOf(hub: DevHub): string {
  const { listen } = hub
  const authority = listen?.kind === 'unix' ? 'localhost' : formatAddress(listen ?? standard)
  return `${hub.hasTls ? 'https' : 'http'}://${authority}`
}

// A cookie that was set on localhost is not sent to 127.0.0.1: there is one name for pages and the hub.
const standard: ListenAddress = { kind: 'tcp', host: 'localhost', port: 3000 }

function given(key: string, raw: unknown): Given {
  const name = findKey(key)
  if (name === null) throw new Error(`there is no setting ${key}`)
  return { name, index: key.includes('[]') ? 0 : null, raw, origin: { kind: 'dev', name: '--dev' } }
}
