import { expect, test } from 'bun:test'
import { adminApp } from '../../src/admin/app.ts'
import { health } from '../../src/admin/health.ts'
import { HostCheck } from '../../src/admin/host-check.ts'
import { Counters } from '../../src/telemetry/counters.ts'

test('probes of the reference hub’s chart and compose files get the answers of /healthz and /readyz', async () => {
  let isBroken = false
  const probes = health(() => (isBroken ? Promise.reject(new Error('disk')) : Promise.resolve()))
  const app = adminApp(
    probes,
    {
      counters: new Counters(),
      build: {},
      cluster: null,
      snapshot: () => Promise.reject(new Error('no metrics in this test')),
    },
    new HostCheck(() => []),
  )
  const ask = async (path: string) => {
    const response = await app.handle(new Request(`http://localhost${path}`))
    return [response.status, await response.text()]
  }
  expect(await ask('/mercure/health/live')).toEqual(await ask('/healthz'))
  expect(await ask('/mercure/health/ready')).toEqual([200, 'ready\n'])
  isBroken = true
  expect(await ask('/mercure/health/ready')).toEqual([503, 'not ready: disk\n'])
  expect(await ask('/mercure/health/live')).toEqual([200, 'ok\n'])
  expect((await ask('/mercure/health'))[0]).toBe(404)
})
