import type { Hub } from '../hub/hub.ts'
import { ProtocolError } from '../protocol/error.ts'
import type { FormRules } from '../protocol/form.ts'
import { type Identity, mayPublish, mayPublishInSteps } from '../protocol/grant.ts'
import { isLight } from '../protocol/matcher.ts'
import type { HubLocation } from '../protocol/topic.ts'
import { parseUpdate, type Update, type UpdateLimits } from '../protocol/update.ts'
import type { Drive } from '../protocol/work.ts'
import type { Cors } from './cors.ts'
import { hardening } from './error.ts'
import type { Exchange } from './exchange.ts'
import type { PublishRate } from './rate.ts'
import { readForm } from './request/body.ts'
import { checkOrigin } from './request/credentials.ts'
import type { OriginList } from './request/origin.ts'
import type { Uploads } from './request/uploads.ts'
import type { Turn } from './turn.ts'

export interface PublishOptions {
  readonly hub: Hub
  readonly location: HubLocation
  readonly cors: Cors
  readonly origins: OriginList
  readonly limits: UpdateLimits & { readonly body: number }
  /** The rules for the fields of the body. */
  readonly form: FormRules
  readonly rate: PublishRate
  readonly turn: Turn
  readonly drive: Drive
  /** Whether the log stores an update in a later turn, as on a disk. */
  readonly isStoredLater: boolean
  readonly uploads: Uploads
}

/** POST on the hub URL (section 3), in the order of PUB-02. The body of the answer is the id. */
export async function publish(exchange: Exchange, options: PublishOptions): Promise<Response> {
  const { request } = exchange
  const credentials = exchange.dialect.credentials(request)
  if (credentials === null) throw new ProtocolError('missing-token', 'a publication needs a token')
  if (credentials.via === 'cookie') checkOrigin(request, exchange.origin(), options.origins)
  const verified = exchange.authenticate(credentials.token, 'publisher')
  const identity = verified instanceof Promise ? await verified : verified
  const { limits, form, uploads } = options
  const pairs = await readForm(exchange, {
    limit: limits.body,
    rules: form,
    isOptional: false,
    uploads,
    share: 1,
  })
  await options.turn.end()
  const update = parseUpdate(pairs, options.location, limits)
  const granted = isGranted(identity, update, options)
  if (!(typeof granted === 'boolean' ? granted : await granted)) {
    throw new ProtocolError('insufficient-scope', 'the token does not grant publish on every topic')
  }
  // Any byte behind a request makes Bun 1.4.5 close the connection while the answer is still to come: a line break,
  // another request, the end of the client's data. By the next turn the hub has seen bytes that came with the request,
  // and stores no update whose publisher it could not answer.
  if (options.isStoredLater) await options.turn.end()
  if (request.signal.aborted) throw new ProtocolError('connection-lost', 'nobody waits for the answer')
  options.rate.take(identity.holder)
  exchange.trace?.publishes(update)
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

// Each response copies these fields as a whole, which costs a third of reading them from an object.
const publishHeaders = new Headers({
  ...hardening,
  'Content-Type': 'text/plain; charset=utf-8',
  'Cache-Control': 'no-store',
})
