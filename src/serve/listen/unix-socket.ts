import { chmodSync, lstatSync, unlinkSync } from 'node:fs'

/**
 * Makes the path free for a listener: removes the socket of a hub that was killed. Rejects with a plain
 * Error when somebody answers on the socket, or when the path is no socket at all.
 */
export async function freeSocketPath(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return
  if (!stats.isSocket()) throw new Error(`unix:${path} is a file that is no socket`)
  if (await isAnswered(path)) throw new Error(`unix:${path} is in use by another process`)
  unlinkSync(path)
}

/** Lets the owner and the group of the socket connect: a reverse proxy comes in by the group. */
export function restrictSocket(path: string): void {
  chmodSync(path, 0o660)
}

async function isAnswered(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => {} } })
    socket.terminate()
    return true
  } catch (error) {
    // Only a refusal proves that nobody is there; without the right to connect nothing is known.
    if (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED') return false
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  }
}
