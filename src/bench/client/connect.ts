import type { Trust } from '../../command/hub-request.ts'

/** The events of a connection. */
export interface ConnectionEvents {
  open(socket: Bun.Socket): void
  data(socket: Bun.Socket, chunk: Buffer): void
  drain?(): void
  /** The connection has ended, for any reason. Called once. */
  close(): void
}

/** Where a connection goes, and whose certificate is believed there; without trust that of the usual authorities. */
export interface Destination {
  readonly url: URL
  readonly trust?: Trust | null
}

/** Connects to the origin of an `http` or `https` URL. Rejects when nobody answers there, or somebody else. */
export async function connect({ url, trust }: Destination, events: ConnectionEvents): Promise<Bun.Socket> {
  const isSecure = url.protocol === 'https:'
  return await Bun.connect({
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
    ...(isSecure && { tls: { serverName: url.hostname, ...trust } }),
    socket: {
      // A TLS socket can send nothing before the handshake.
      ...(isSecure ? { handshake: events.open } : { open: events.open }),
      data: events.data,
      drain: () => events.drain?.(),
      close: () => events.close(),
      error: () => {},
    },
  })
}
