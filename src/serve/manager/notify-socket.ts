import { openDatagrams } from '../libc.ts'

/** The socket on which a service manager of this machine listens to its services (sd_notify(3)). */
export interface NotifySocket {
  /** Sends the message. Never waits, and answers whether the manager has it. */
  send(message: string): boolean
  /** CLOCK_MONOTONIC in microseconds, as the manager reads it. */
  monotonicUsec(): bigint
}

/**
 * Opens a socket to the address of NOTIFY_SOCKET: a path, or an abstract name behind `@`. Throws a plain Error when it
 * is neither, or when this system has no such sockets.
 */
export function openNotifySocket(address: string): NotifySocket {
  const name = socketAddress(address)
  const libc = openDatagrams()
  const descriptor = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (descriptor === -1) throw new Error('no socket can be opened')
  const time = new BigInt64Array(2)
  return {
    send: (message) => {
      const bytes = Buffer.from(message)
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL
      return libc.sendto(descriptor, bytes, bytes.length, flags, name, name.length) === bytes.length
    },
    monotonicUsec: () => {
      libc.clock_gettime(CLOCK_MONOTONIC, time)
      const [seconds = 0n, nanoseconds = 0n] = time
      return seconds * 1_000_000n + nanoseconds / 1000n
    },
  }
}

/** The bytes of a `sockaddr_un`: the family, then the path with its end, or the abstract name behind a zero. */
export function socketAddress(address: string): Uint8Array {
  const isAbstract = address.startsWith('@')
  if (!isAbstract && !address.startsWith('/')) throw new Error('it is neither a path nor an abstract socket')
  const name = isAbstract ? `\0${address.slice(1)}` : `${address}\0`
  const bytes = Buffer.from(`\0\0${name}`)
  if (bytes.length > SOCKADDR_UN) throw new Error('the name of the socket is too long')
  new DataView(bytes.buffer, bytes.byteOffset).setUint16(0, AF_UNIX, true)
  return bytes
}

// The numbers of Linux, on every processor that the hub is built for.
const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const CLOCK_MONOTONIC = 1
const SOCKADDR_UN = 110
