import { describe, expect, test } from 'bun:test'
import { limitPeerSilence, portOfAddress } from '../../src/serve/peer-timeout.ts'

describe('peers that vanish', () => {
  test('a port is read from the bytes of a socket address, whatever its version', () => {
    expect(portOfAddress(Uint8Array.of(2, 0, 0x0b, 0xb8, 127, 0, 0, 1))).toBe(3000)
    expect(portOfAddress(Uint8Array.of(10, 0, 0xff, 0xff, 0, 0, 0, 0))).toBe(65_535)
    expect(portOfAddress(Uint8Array.of(1, 0, 0x0b, 0xb8))).toBeNull()
  })

  test.skipIf(process.platform !== 'linux')(
    'the kernel takes the limit for a port of this process only',
    () => {
      const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
      const { port = 0 } = server
      expect(limitPeerSilence(port, 15_000)).toBe(true)
      expect(limitPeerSilence(port, 0)).toBe(true)
      void server.stop(true)
      expect(limitPeerSilence(port, 15_000)).toBe(false)
    },
  )
})
