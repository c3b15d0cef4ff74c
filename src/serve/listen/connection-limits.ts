import { readdirSync } from 'node:fs'
import { type Libc, openLibc } from '../libc.ts'

/** Bounds of the kernel's effort for one connection. Zero leaves it to the kernel. */
export interface ConnectionLimits {
  /** Milliseconds in which a peer that is sent something must acknowledge or take some of it. */
  readonly silenceMs: number
  /** Bytes that may lie in the kernel without having been sent. */
  readonly unsentBytes: number
}

/**
 * Limits every connection that the port accepts from now on: the kernel gives up a peer that vanished without a word,
 * for which alone it would retry for about 15 minutes, and holds no more than `unsentBytes` for a peer that reads
 * nothing. Bytes that were sent and not acknowledged do not count, so a reader far away is no slower.
 *
 * Bun 1.4.5 has no way to say this, and its own idle timeout ends streams that the hub writes to, so this function
 * asks the kernel directly. Connections inherit the options from the socket that accepts them: a few calls per
 * listener, and none per connection. Answers whether the options could be set: only Linux has them, and a process that
 * may not make code cannot call.
 */
export function limitConnections(port: number, { silenceMs, unsentBytes }: ConnectionLimits): boolean {
  try {
    const libc = openLibc()
    const sockets = ownDescriptors().filter((fd) => isListening(libc, fd) && portOf(libc, fd) === port)
    const set = (fd: number, option: number, value: number) =>
      libc.setsockopt(fd, IPPROTO_TCP, option, new Int32Array([Math.min(value, INT_MAX)]), 4) === 0
    return (
      sockets.length > 0 &&
      sockets.every((fd) => set(fd, TCP_USER_TIMEOUT, silenceMs) && set(fd, TCP_NOTSENT_LOWAT, unsentBytes))
    )
  } catch {
    return false
  }
}

/**
 * Makes the queues of all listening sockets of this process as long as the system allows (net.core.somaxconn): Bun
 * 1.4.5 asks for 512, and the rest of a crowd that comes back at once is told nothing and tries again after seconds.
 * Answers whether the queues could be made longer.
 */
export function widenQueues(): boolean {
  try {
    const libc = openLibc()
    const sockets = ownDescriptors().filter((fd) => isListening(libc, fd))
    return sockets.length > 0 && sockets.every((fd) => libc.listen(fd, QUEUE_MAX) === 0)
  } catch {
    return false
  }
}

/** The length asked for; the kernel cuts it to its own limit. */
const QUEUE_MAX = 65_535

function ownDescriptors(): readonly number[] {
  return readdirSync('/proc/self/fd').map(Number)
}

/** The port of a `sockaddr_in` or `sockaddr_in6`, in whose bytes it has one place; null for other families. */
export function portOfAddress(address: Uint8Array): number | null {
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength)
  const family = view.getUint16(0, true)
  return family === AF_INET || family === AF_INET6 ? view.getUint16(2) : null
}

const AF_INET = 2
const AF_INET6 = 10
const SOL_SOCKET = 1
const SO_ACCEPTCONN = 30
const IPPROTO_TCP = 6
const TCP_USER_TIMEOUT = 18
const TCP_NOTSENT_LOWAT = 25
const INT_MAX = 2 ** 31 - 1

/** False for a descriptor of no socket as well. The tables in /proc would tell the same, in 20 ms each. */
function isListening({ getsockopt }: Libc, fd: number): boolean {
  const value = new Uint32Array(1)
  const length = new Uint32Array([4])
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, value, length) === 0 && value[0] === 1
}

function portOf({ getsockname }: Libc, fd: number): number | null {
  const address = new Uint8Array(128)
  const length = new Uint32Array([address.length])
  return getsockname(fd, address, length) === 0 ? portOfAddress(address) : null
}
