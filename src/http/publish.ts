import type { Hub } from '../hub/hub.ts'
import { ProtocolError } from '../protocol/error.ts'
import { type Identity, mayPublish, mayPublishInSteps } from '../protocol/grant.ts'
import { isLight } from '../protocol/matcher.ts'
import type { HubLocation } from '../protocol/topic.ts'
import { parseUpdate, type Update, type UpdateLimits } from '../protocol/update.ts'
import type { Drive } from '../protocol/work.ts'
import { readForm } from './body.ts'
import type { Cors } from './cors.ts'
import { checkOrigin } from './credentials.ts'
import { hardening } from './error.ts'
import type { Exchange } from './exchange.ts'
import type { OriginList } from './origin.ts'
import type { PublishRate } from './rate.ts'
import type { Turn } from './turn.ts'

export interface PublishOptions {
  readonly hub: Hub
  readonly location: HubLocation
  readonly cors: Cors
  readonly origins: OriginList
  readonly limits: UpdateLimits & { readonly body: number }
  readonly rate: PublishRate
  readonly turn: Turn
  readonly drive: Drive
}

/** POST on the hub URL (section 3), in the order of PUB-02. The body of the answer is the id. */
export async function publish(exchange: Exchange, options: PublishOptions): Promise<Response> {
  const { request } = exchange
  const credentials = exchange.dialect.credentials(request)
  if (credentials === null) throw new ProtocolError('missing-token', 'a publication needs a token')
  if (credentials.via === 'cookie') checkOrigin(request, exchange.origin(), options.origins)
  const verified = exchange.authenticate(credentials.token, 'publisher')
  const identity = verified instanceof Promise ? await verified : verified
  const pairs = await readForm(request, options.limits.body, false)
  await options.turn.end()
  const update = parseUpdate(pairs, options.location, options.limits)
  const granted = isGranted(identity, update, options)
  if (!(typeof granted === 'boolean' ? granted : await granted)) {
    throw new ProtocolError('insufficient-scope', 'the token does not grant publish on every topic')
  }
  options.rate.take(identity.holder)
  const id = await options.hub.publish(update)
  return new Response(id, { headers: options.cors.fields(request, publishHeaders) })
}

function isGranted(
  identity: Identity,
  { topics, private: isPrivate }: Update,
  { location, drive }: PublishOptions,
): boolean | Promise<boolean> {
  if (!isPrivate && identity.publishesAnyPublic === true) return true
  if (isLight(identity.weight, topics)) return mayPublish(identity, topics)
  return drive(mayPublishInSteps(identity, topics, location))
}

// Copied by each response as a whole, which costs a third of reading them from an object.
const publishHeaders = new Headers({
  ...hardening,
  'Content-Type': 'text/plain; charset=utf-8',
  'Cache-Control': 'no-store',
})
