import { expect, test } from 'bun:test'
import { LogTool } from '../../../src/transport/redis/tool.ts'
import { until } from '../../support/binary.ts'
import { RedisServer } from '../../support/redis-server.ts'

test.each([
  ['a log of another version', ['HSET', '{log}:meta', 'log', 'x', 'v', '2'], 'the log is of version 2'],
  ['a key that holds something else', ['SET', '{log}:meta', 'x'], 'WRONGTYPE'],
])('%s is refused, and no connection stays', async (_, command, message) => {
  await using server = await RedisServer.start()
  await server.command(...command)
  const connections = async () => {
    const info = String(await server.command('INFO', 'clients'))
    return Number(/^connected_clients:(\d+)/m.exec(info)?.[1])
  }
  const before = await connections()
  await expect(LogTool.open(server.options(), 'log')).rejects.toThrow(message)
  await until('the connection is gone', async () => (await connections()) === before)
})
