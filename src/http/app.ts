import { Elysia } from 'elysia'
import { metadataPath } from './discovery.ts'
import { Edge, type EdgeOptions } from './edge.ts'
import { errorResponse } from './error.ts'
import { HostGate } from './request/host.ts'

/**
 * The routes of the hub listener, each a plain function of the request. Elysia finds the handler and turns
 * streams into responses; everything else is ours, errors included. Each request asks `current`, so
 * that a reload changes the edge; the paths and the scheme are fixed here.
 *
 * Elysia reads the source of a handler to learn what it needs: each names `request` and `server` itself.
 */
export function hubApp(current: () => EdgeOptions) {
  const edge = new Edge(current)
  const { location, isSecure } = current()
  const { path } = location
  const metadata = metadataPath(path)
  const subscriptions = `${path}/subscriptions`
  const unparsed = { parse: 'none' } as const
  // Elysia skips as many characters as a usual origin has before it looks for the path: a host of three, as `hub` in a
  // network of containers, ends before that unless the scheme is the longer one.
  const handler = { standardHostname: isSecure }
  // The last resort, should a refusal fail: Bun would show the source to the client and to the log.
  const serve = {
    error: (error: Error) => {
      current().onUnexpected(error, '')
      return errorResponse(error, { metadataUrl: null, requestId: null, isExplained: false })
    },
  }
  const gate = new HostGate(isSecure, () => app.server)
  const app = new Elysia({ strictPath: true, handler, serve })
  return app
    .wrap((handle, request) => (gate.admits(request) ? handle : () => edge.twoHosts(request, app.server)))
    .onError({ as: 'global' }, ({ error, code, request, server }) =>
      code === 'NOT_FOUND' ? edge.unknown(request, server) : edge.failed(request, server, error),
    )
    .get(path, ({ request, server }) => edge.subscribe(request, server), unparsed)
    .route('QUERY', path, ({ request, server }) => edge.subscribe(request, server), unparsed)
    .head(path, ({ request, server }) => edge.subscribeHead(request, server), unparsed)
    .post(path, ({ request, server }) => edge.publish(request, server), unparsed)
    .all(path, ({ request, server }) => edge.otherOnHub(request, server), unparsed)
    .get(metadata, ({ request, server }) => edge.metadata(request, server), unparsed)
    .head(metadata, ({ request, server }) => edge.metadata(request, server), unparsed)
    .all(metadata, ({ request, server }) => edge.otherOnMetadata(request, server), unparsed)
    .all(subscriptions, ({ request, server }) => edge.subscriptions(request, server), unparsed)
    .all(`${subscriptions}/*`, ({ request, server }) => edge.subscriptions(request, server), unparsed)
    .get('/', ({ request, server }) => edge.welcome(request, server))
    .head('/', ({ request, server }) => edge.welcome(request, server))
    .get('/healthz', () => edge.alive())
    .get('/readyz', () => edge.ready())
}
