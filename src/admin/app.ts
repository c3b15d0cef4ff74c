import { Elysia } from 'elysia'
import type { Console } from './console/console.ts'
import type { Health } from './health.ts'
import type { HostCheck } from './host-check.ts'
import type { MetricSources, Metrics } from './metrics.ts'

/** The console behind the routes: its API, and the page with its policy, which are one build. */
export interface ConsoleParts {
  readonly api: Console
  readonly page: () => Promise<ConsolePage>
}

/** The page and the policy under which browsers run it. */
export interface ConsolePage {
  readonly html: string
  /** The value of `Content-Security-Policy`, with the hashes of this very page. */
  readonly policy: string
}

/**
 * The routes of the admin listener. Nothing on it changes state without the token of the console.
 *
 * Elysia reads the source of a handler to learn what it needs: each names `request` and `server` itself.
 */
export function adminApp(
  health: Health,
  sources: MetricSources,
  hosts: HostCheck,
  console: ConsoleParts | null = null,
) {
  // The first reading makes the page, so that a start does not wait for it.
  let opened: Promise<Metrics> | null = null
  const isUnix = () => app.server !== null && app.server.port === undefined
  const app = new Elysia({ strictPath: true })
  app
    .wrap((handle, request) =>
      // No page of another origin reaches the socket of a file.
      isUnix() || hosts.admits(request.headers.get('host')) ? handle : misdirected,
    )
    .onError({ as: 'global' }, ({ code }) =>
      code === 'NOT_FOUND'
        ? new Response('not found\n', { status: 404 })
        : new Response('internal error\n', { status: 500 }),
    )
    .get('/healthz', () => health.alive())
    .get('/readyz', () => health.readyInDetail())
    // The paths that charts and compose files of the reference hub ask.
    .get('/mercure/health/live', () => health.alive())
    .get('/mercure/health/ready', () => health.readyInDetail())
    .get('/metrics', async () => {
      opened ??= import('./metrics.ts').then(({ Metrics }) => new Metrics(sources))
      const metrics = await opened
      const headers = { 'Content-Type': metrics.contentType, 'Cache-Control': 'no-store' }
      return new Response(await metrics.page(), { headers })
    })
  if (console === null) return app
  const { api, page } = console
  app
    .get('/', async () => pageResponse(await page()))
    .all('/api/*', ({ request, server }) => api.answer(request, server?.requestIP(request)?.address ?? ''), {
      parse: 'none',
    })
  return app
}

function misdirected(): Response {
  const text = 'not a host of this listener: see admin.public_urls\n'
  return new Response(text, { status: 421, headers: { 'Content-Type': 'text/plain; charset=utf-8' } })
}

function pageResponse({ html, policy }: ConsolePage): Response {
  const headers = {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': policy,
    'Cache-Control': 'no-cache',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  }
  return new Response(html, { headers })
}
