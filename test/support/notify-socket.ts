import { dlopen } from 'bun:ffi'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { socketAddress } from '../../src/serve/manager/notify-socket.ts'
import { until } from './binary.ts'

/** A service manager's end of NOTIFY_SOCKET: it receives datagrams, as systemd does. */
export class NotifyReceiver {
  /** For the hub's environment. */
  readonly address: string
  readonly #libc = libc()
  readonly #folder: string | null
  readonly #descriptor: number
  readonly #received: string[] = []

  /** A socket with a path, or with an abstract name. */
  constructor(kind: 'path' | 'abstract' = 'path') {
    this.#folder = kind === 'path' ? mkdtempSync(join(tmpdir(), 'cinnabar-notify-')) : null
    this.address = this.#folder === null ? `@cinnabar-${crypto.randomUUID()}` : join(this.#folder, 'socket')
    this.#descriptor = this.#libc.socket(AF_UNIX, SOCK_DGRAM, 0)
    const name = socketAddress(this.address)
    if (this.#libc.bind(this.#descriptor, name, name.length) !== 0) throw new Error('the socket is not bound')
  }

  /** All messages so far, in order. */
  get messages(): readonly string[] {
    const buffer = Buffer.alloc(4096)
    for (;;) {
      const bytes = this.#libc.recv(this.#descriptor, buffer, buffer.length, MSG_DONTWAIT)
      if (bytes < 0) return this.#received
      this.#received.push(buffer.toString('utf8', 0, bytes))
    }
  }

  /** Those without STATUS and WATCHDOG, whose number depends on the time. */
  get states(): readonly string[] {
    return this.messages.filter((message) => !/^(STATUS|WATCHDOG)=/.test(message))
  }

  /** The number of times that the hub has fed the watchdog. */
  get meals(): number {
    return this.messages.filter((message) => message === 'WATCHDOG=1').length
  }

  /** Resolves when a message has come that begins so. */
  async heard(start: string): Promise<void> {
    await until(start, () => this.messages.some((message) => message.startsWith(start)))
  }

  /** Fills the queue of the socket, which then takes nothing until it is read. */
  fill(): void {
    const name = socketAddress(this.address)
    const sender = this.#libc.socket(AF_UNIX, SOCK_DGRAM, 0)
    const message = Buffer.from('filling')
    while (this.#libc.sendto(sender, message, message.length, MSG_DONTWAIT, name, name.length) >= 0);
    this.#libc.close(sender)
  }

  /** The socket is gone, as when the manager has ended. */
  vanish(): void {
    this.#libc.close(this.#descriptor)
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true })
  }
}

function libc() {
  return dlopen('libc.so.6', {
    socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
    recv: { args: ['i32', 'ptr', 'usize', 'i32'], returns: 'i32' },
    sendto: { args: ['i32', 'ptr', 'usize', 'i32', 'ptr', 'u32'], returns: 'i32' },
    close: { args: ['i32'], returns: 'i32' },
  }).symbols
}

const AF_UNIX = 1
const SOCK_DGRAM = 2
const MSG_DONTWAIT = 0x40
