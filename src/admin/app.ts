import { Elysia } from 'elysia'
import type { Health } from './health.ts'
import type { MetricSources, Metrics } from './metrics.ts'

/** The routes of the admin listener. Nothing on it changes state. */
export function adminApp(health: Health, sources: MetricSources) {
  // The first reading makes the page, so that a start does not wait for it.
  let opened: Promise<Metrics> | null = null
  return (
    new Elysia({ strictPath: true })
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
  )
}
