import { afterEach, expect, test } from 'bun:test'
import { reportText } from '../../../src/transport/redis/neighbours.ts'
import { until } from '../../support/binary.ts'
import { RedisServer } from '../../support/redis-server.ts'
import { redisLog } from './log.ts'

const cleanup: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

test('a node finds the figures of the others, and not its own', async () => {
  const server = await RedisServer.start()
  cleanup.push(() => server[Symbol.asyncDispose]())
  const open = async (name: string, subscribers: number) => {
    const report = () => ({ name, subscribers, published: 7 })
    const { transport } = redisLog(server, {}, 'neighbours', { report })
    await transport.open(
      () => {},
      () => {},
    )
    cleanup.push(() => transport.close())
    return transport
  }
  const one = await open('one', 1)
  expect(await one.neighbours()).toEqual([])
  const two = await open('two', 2)
  const silent = redisLog(server, {}, 'neighbours').transport
  await silent.open(
    () => {},
    () => {},
  )
  cleanup.push(() => silent.close())
  await until('the others', async () => (await silent.neighbours()).length === 2)
  const names = (await silent.neighbours()).map(({ name }) => name).sort()
  expect(names).toEqual(['one', 'two'])
  expect(await one.neighbours()).toEqual([
    { name: 'two', subscribers: 2, published: 7, head: expect.any(Number), seen: expect.any(Number) },
  ])
  await two.close()
  cleanup.splice(2, 1)
  await until('that it is gone', async () => (await one.neighbours()).length === 0)
})

test('a report that is none of this version is left out', async () => {
  const server = await RedisServer.start()
  cleanup.push(() => server[Symbol.asyncDispose]())
  const { transport } = redisLog(server, {}, 'strange')
  await transport.open(
    () => {},
    () => {},
  )
  cleanup.push(() => transport.close())
  for (const [node, text] of [
    ['a', 'no JSON'],
    ['b', '{"name":"b"}'],
    ['c', '["c",1,"many",2]'],
    ['d', reportText({ name: 'd', subscribers: 1, published: 2 }, 3)],
  ] as const) {
    await server.command('ZADD', '{strange}:nodes', String(Date.now() + 60_000), node)
    await server.command('HSET', '{strange}:writers', `report ${node}`, text)
  }
  expect(await transport.neighbours()).toMatchObject([{ name: 'd', subscribers: 1, published: 2, head: 3 }])
})
