import { afterAll } from 'bun:test'
import { redisBytes, redisPlaceBytes } from '../../../src/transport/redis/entry.ts'
import { RedisServer } from '../../support/redis-server.ts'
import { transportContract } from '../contract.ts'
import { sharedContract } from '../contract-shared.ts'
import { redisLog } from './log.ts'

const server = await RedisServer.start()

afterAll(() => server[Symbol.asyncDispose]())

transportContract('redis', {
  create: (options) => redisLog(server, options),
  durable: true,
  sizeOf: redisBytes,
  placeSizeOf: redisPlaceBytes,
})

sharedContract('redis', {
  create: () => {
    const { prefix } = redisLog(server)
    return (options) => redisLog(server, options, prefix).transport
  },
})
