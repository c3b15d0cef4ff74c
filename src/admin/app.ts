import { Elysia } from 'elysia'
import type { Registry } from 'prom-client'
import type { Health } from './health.ts'

/** The routes of the admin listener. Nothing on it changes state. */
export function adminApp(health: Health, registry: Registry) {
  return new Elysia({ strictPath: true, precompile: true })
    .onError({ as: 'global' }, ({ code }) =>
      code === 'NOT_FOUND'
        ? new Response('not found\n', { status: 404 })
        : new Response('internal error\n', { status: 500 }),
    )
    .get('/healthz', () => health.alive())
    .get('/readyz', () => health.ready())
    .get('/metrics', async () => {
      const headers = { 'Content-Type': registry.contentType, 'Cache-Control': 'no-store' }
      return new Response(await registry.metrics(), { headers })
    })
}
