import { describe, expect, test } from 'bun:test'
import { health } from '../../src/admin/health.ts'

describe('health', () => {
  test('is alive whatever the store does', async () => {
    const response = health(() => Promise.reject(new Error('gone'))).alive()
    expect([response.status, await response.text()]).toEqual([200, 'ok\n'])
  })

  test('is ready only while the store says so, and tells nothing of why not', async () => {
    let isBroken = false
    const { ready } = health(() => (isBroken ? Promise.reject(new Error('disk')) : Promise.resolve()))
    expect((await ready()).status).toBe(200)
    isBroken = true
    const response = await ready()
    expect([response.status, await response.text()]).toEqual([503, 'not ready\n'])
    isBroken = false
    expect((await ready()).status).toBe(200)
  })

  test('tells operators why it is not ready', async () => {
    let isBroken = true
    const { readyInDetail } = health(() => (isBroken ? Promise.reject(new Error('disk')) : Promise.resolve()))
    const response = await readyInDetail()
    expect([response.status, await response.text()]).toEqual([503, 'not ready: disk\n'])
    isBroken = false
    expect((await readyInDetail()).status).toBe(200)
  })

  test('asks the store once for everybody who asks at the same time', async () => {
    let checks = 0
    const store = Promise.withResolvers<void>()
    const { ready } = health(() => {
      checks++
      return store.promise
    })
    const answers = Array.from({ length: 50 }, () => ready())
    store.resolve()
    expect((await Promise.all(answers)).every(({ status }) => status === 200)).toBe(true)
    await ready()
    expect(checks).toBe(2)
  })
})
