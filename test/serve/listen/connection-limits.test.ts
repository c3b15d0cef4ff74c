import { describe, expect, test } from 'bun:test'
import { limitConnections, portOfAddress } from '../../../src/serve/listen/connection-limits.ts'

describe('what the kernel does for a connection', () => {
  test('a port is read from the bytes of a socket address, whatever its version', () => {
    expect(portOfAddress(Uint8Array.of(2, 0, 0x0b, 0xb8, 127, 0, 0, 1))).toBe(3000)
    expect(portOfAddress(Uint8Array.of(10, 0, 0xff, 0xff, 0, 0, 0, 0))).toBe(65_535)
    expect(portOfAddress(Uint8Array.of(1, 0, 0x0b, 0xb8))).toBeNull()
  })

  test.skipIf(process.platform !== 'linux')(
    'the kernel takes the limits for a port of this process only',
    () => {
      const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
      const { port = 0 } = server
      const limits = { silenceMs: 15_000, unsentBytes: 1 << 20 }
      expect(limitConnections(port, limits)).toBe(true)
      expect(limitConnections(port, { silenceMs: 0, unsentBytes: 0 })).toBe(true)
      expect(limitConnections(port, { silenceMs: 0, unsentBytes: 2 ** 40 })).toBe(true)
      void server.stop(true)
      expect(limitConnections(port, limits)).toBe(false)
    },
  )
})
