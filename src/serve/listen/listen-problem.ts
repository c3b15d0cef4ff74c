import { formatAddress } from '../../config/addresses.ts'
import type { Settings } from '../../config/load.ts'

type Address = Settings['listen'][number]

/** The hub cannot listen on an address. The message is for the operator and begins with the name of the setting. */
export class ListenProblem extends Error {
  override readonly name = 'ListenProblem'
  /** The code of the system, or null. */
  readonly systemCode: string | null

  constructor(setting: string, reason: string, code: string | null) {
    super(`${setting}: ${reason}`)
    this.systemCode = code
  }
}

/** Puts an error of listening on an address of the setting in words. Looks the name up where there is one. */
export async function listenProblem(
  setting: string,
  address: Address,
  error: unknown,
): Promise<ListenProblem> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : null
  // When there is no such host, Bun 1.4.5 leaves the code of an earlier error.
  if (address.kind === 'tcp' && !(await isKnown(address.host))) {
    return new ListenProblem(setting, `there is no host ${address.host}`, 'ENOTFOUND')
  }
  const own = error instanceof Error && code === null ? error.message : null
  return new ListenProblem(setting, own ?? `${formatAddress(address)} ${reasonFor(address, code)}`, code)
}

function reasonFor(address: Address, code: string | null): string {
  if (code === 'EACCES' && address.kind === 'tcp' && address.port < 1024) {
    return 'is not allowed: ports below 1024 need the capability CAP_NET_BIND_SERVICE'
  }
  return reasons[code ?? ''] ?? `cannot be listened on (${code})`
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'is not allowed: permission denied',
  EADDRINUSE: 'is in use by another process',
  EADDRNOTAVAIL: 'is not an address of this machine',
  EAFNOSUPPORT: 'is of a kind that this machine does not have',
  ENAMETOOLONG: 'is longer than the path of a socket may be',
  ENOENT: 'is in a folder that does not exist',
  EROFS: 'is on a file system that cannot be written',
}

async function isKnown(host: string): Promise<boolean> {
  return await Bun.dns.lookup(host).then(
    () => true,
    () => false,
  )
}
