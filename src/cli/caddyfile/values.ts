/** Values as Caddy writes them, in the spelling of this hub. Each answers null for a text that is no such value. */

/** A duration of Go, such as `1m30s` or `0.5s`, and days (Caddy documentation, "Durations"): whole milliseconds. */
export function durationOf(text: string): string | null {
  if (text === '0') return '0'
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+$/.test(text)) return null
  let ms = 0
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g)) {
    ms += Number(number) * (milliseconds[unit ?? ''] ?? 0)
  }
  const whole = exact(ms)
  if (!Number.isSafeInteger(whole)) return null
  const [unit, factor] = units.find(([, each]) => whole % each === 0) ?? ['ms', 1]
  return whole === 0 ? '0' : `${whole / factor}${unit}`
}

const milliseconds: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

const units: readonly (readonly [string, number])[] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
]

/** A number of bytes, such as `512KB` (a thousand each) or `1MiB`: bytes. */
export function sizeOf(text: string): string | null {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)$/i.exec(text) ?? []
  if (number === undefined) return null
  const power = ['', 'k', 'm', 'g', 't'].indexOf(unit.toLowerCase().replace(/i?b?$/, ''))
  const isBinary = unit.toLowerCase().includes('i')
  const bytes = exact(Number(number) * (isBinary ? 1024 : 1000) ** power)
  return Number.isSafeInteger(bytes) ? String(bytes) : null
}

/** The product of a decimal fraction without the error of its last bits: 1.1 * 3,600,000 is 3,960,000. */
function exact(product: number): number {
  return Number(product.toPrecision(15))
}

/** The folder and the options of `bolt://path?size=100`, or null where the URL is another transport's. */
export function boltUrl(url: string): ReadonlyMap<string, string> | null {
  const [, path, query = ''] = /^bolt:\/\/([^?]*)(?:\?(.*))?$/.exec(url) ?? []
  if (path === undefined) return null
  return new Map([...new URLSearchParams(query), ['path', path]])
}
