/** Numbers as people read them in tables and sentences. */

/** Bytes in the largest unit that leaves a whole number before the point: `1.5 MiB`. */
export function bytesText(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** A number of things with the word for them: `1 entry`, `2,000 entries`. */
export function countText(count: number, one: string, many: string): string {
  return `${groups.format(count)} ${count === 1 ? one : many}`
}

const groups = new Intl.NumberFormat('en-US')

/** Entries and their stored bytes. */
export function amountText({ count, bytes }: { readonly count: number; readonly bytes: number }): string {
  return `${countText(count, 'entry', 'entries')}, ${bytesText(bytes)}`
}
