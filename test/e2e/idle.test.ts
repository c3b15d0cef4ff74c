import { describe, expect, test } from 'bun:test'
import { connect } from 'node:http2'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { makeCertificate, temporaryFolder } from '../support/certificates.ts'
import { publish } from '../support/publisher.ts'
import { RawConnection, requestBytes } from '../support/raw-request.ts'
import { refusedHub } from '../support/refused-hub.ts'

/** For how long a connection is kept on which nothing moves: load balancers keep theirs for a minute. */

const path = '/.well-known/mercure'
const start = (...flags: readonly string[]) =>
  startHub({ flags: ['--transport', 'memory', '--hub-anonymous', ...flags] })

/** A connection that has asked and got its answer. */
async function asked(hub: RunningHub, target = '/healthz'): Promise<RawConnection> {
  const connection = await RawConnection.open(hub.origin)
  connection.send(requestBytes(hub.origin, { target }))
  expect((await connection.answer()).status).toBe(200)
  return connection
}

/** Seconds until the other side closes it. */
async function secondsUntil(what: string, isOver: () => boolean): Promise<number> {
  const start = performance.now()
  await until(what, isOver, 25_000)
  return (performance.now() - start) / 1000
}

// They wait for seconds, so they wait together.
describe.concurrent('limits.idle', () => {
  test('M8 an idle connection is closed after it and not before, whatever it was used for', async () => {
    await using hub = await start('--limits-idle', '5s', '--hub-connection-lifetime', '500ms')
    const connections = {
      silent: await RawConnection.open(hub.origin),
      answered: await asked(hub),
      streamed: await asked(hub, `${path}?match=a`),
      refused: await asked(hub, '/readyz'),
    }
    await connections.streamed.ended()
    connections.refused.send(requestBytes(hub.origin, { target: path }))
    const seconds = await Promise.all(
      Object.entries(connections).map(async ([name, connection]) => {
        return [name, await secondsUntil(`the end of ${name}`, () => connection.isClosed)] as const
      }),
    )
    for (const [name, after] of seconds) {
      // The runtime looks every four seconds.
      expect([name, after >= 4.4 && after < 14]).toEqual([name, true])
    }
  }, 40_000)

  test('M8 within it the connection serves further requests, also after a stream', async () => {
    await using hub = await start('--limits-idle', '5s', '--hub-connection-lifetime', '500ms')
    const connection = await asked(hub, `${path}?match=a`)
    await connection.ended()
    for (let round = 1; round <= 2; round++) {
      // Time is the condition: idle for less than the limit.
      await Bun.sleep(4500)
      connection.send(requestBytes(hub.origin, { target: '/healthz' }))
      await until('an answer', () => connection.received.split('ok\n').length === round + 1)
    }
    connection.close()
  }, 30_000)

  test('M8 SUB-85 a stream without an update lives longer', async () => {
    await using hub = await start('--limits-idle', '1s', '--hub-heartbeat', '0')
    const stream = await asked(hub, `${path}?match=a`)
    // Time is the condition: the runtime would end an idle connection within two of its rounds of four seconds.
    await Bun.sleep(12_000)
    const id = await publish(hub.url, { topic: 'a' })
    await until('the update', () => stream.events.some((event) => event.id === id))
    stream.close()
  }, 30_000)

  test('M8 over TLS and HTTP/2 it is the same', async () => {
    const folder = await temporaryFolder()
    const { flags } = await makeCertificate(folder.path)
    await using hub = await start('--limits-idle', '5s', ...flags)
    const session = connect(hub.origin, { rejectUnauthorized: false })
    session.on('error', () => {})
    const answer = Promise.withResolvers<number>()
    const stream = session.request({ ':path': '/healthz' })
    stream.on('response', (headers) => answer.resolve(Number(headers[':status'])))
    stream.resume()
    expect(await answer.promise).toBe(200)
    const after = await secondsUntil('the end of the session', () => session.closed || session.destroyed)
    expect(after >= 4.4 && after < 14).toBe(true)
    await folder.dispose()
  }, 30_000)

  for (const wrong of ['0', '256s', '1h']) {
    test(`M8 ${wrong} is refused: the runtime cannot wait for so long`, async () => {
      const { code, message } = await refusedHub(['--listen', '127.0.0.1:0', '--limits-idle', wrong])
      expect(code).toBe(78)
      expect(message).toStartWith('--limits-idle: ')
    })
  }
})
