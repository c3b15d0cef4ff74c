/**
 * The hosts that the admin listener answers on. A page of another origin can point its own name at this machine (DNS
 * rebinding) and then read whatever the listener answers to that name, metrics included. It can do so with no literal
 * address and not with `localhost`, so those stay possible with any port, for scrapers and tunnels.
 */
export class HostCheck {
  readonly #names: () => readonly string[]
  /** The host that was admitted last: nearly all requests name the same. */
  #good: string | null = null
  #goodNames: readonly string[] = []

  /** `names`: hosts with their port, as in a Host field, that are ours beside addresses and `localhost`. */
  constructor(names: () => readonly string[]) {
    this.#names = names
  }

  /** Whether a request with this Host field is for us. HTTP/1.0 allows none, and no browser omits it. */
  admits(field: string | null): boolean {
    if (field === null) return true
    const names = this.#names()
    if (field === this.#good && names === this.#goodNames) return true
    const host = field.toLowerCase()
    if (!isAddress(host) && !/^localhost(?::\d{1,5})?$/.test(host) && !names.includes(host)) return false
    this.#good = field
    this.#goodNames = names
    return true
  }
}

function isAddress(host: string): boolean {
  if (/^\[[0-9a-f:.]+\](?::\d{1,5})?$/.test(host)) return true
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?::\d{1,5})?$/.exec(host)
  return parts?.slice(1).every((part) => Number(part) <= 255) ?? false
}
