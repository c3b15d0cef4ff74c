import { HostCheck } from '../../admin/host-check.ts'
import { formatAddress } from '../../config/addresses.ts'
import type { Settings } from '../../config/load.ts'

/** The hosts of the admin listener beside addresses and `localhost`. A reload may change them. */
export function adminHosts(settings: () => Settings): HostCheck {
  let known: { readonly admin: Settings['admin']; readonly names: readonly string[] } | null = null
  return new HostCheck(() => {
    const { admin } = settings()
    if (known?.admin !== admin) known = { admin, names: hostsOf(admin) }
    return known.names
  })
}

function hostsOf({ listen, publicUrls }: Settings['admin']): readonly string[] {
  const own = listen?.kind === 'tcp' ? [formatAddress(listen), listen.host] : []
  return [...own, ...publicUrls.map((url) => new URL(url).host)].map((host) => host.toLowerCase())
}
