import { loopbacks } from '../../config/addresses.ts'
import type { Settings } from '../../config/load.ts'
import { ListenProblem } from './listen-problem.ts'
import type { Listener } from './listener.ts'

type Address = Settings['listen'][number]

/**
 * Opens the listeners of one address, all on one port, and hands each of them over. `localhost` has two listeners, or
 * one on a machine without IPv6. Rejects as `open` does.
 */
export async function openListeners(
  address: Address,
  open: (address: Address) => Promise<Listener>,
  take: (listener: Listener) => void,
): Promise<void> {
  const [first = address, ...others] = loopbacks(address)
  const listener = await open(first)
  take(listener)
  for (const other of others) {
    try {
      take(await open(other.kind === 'unix' ? other : { ...other, port: listener.port ?? other.port }))
    } catch (error) {
      if (!isWithoutIpv6(error)) throw error
    }
  }
}

function isWithoutIpv6(error: unknown): boolean {
  return error instanceof ListenProblem && ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(error.systemCode ?? '')
}
