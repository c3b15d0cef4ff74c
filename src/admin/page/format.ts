/** Figures as people read them. One place, so that equal things look equal. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const one = new Intl.NumberFormat('en', { maximumFractionDigits: 1, minimumFractionDigits: 1 })
const short = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const time = new Intl.DateTimeFormat('en', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const minute = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })

export const count = (value: number) =>
  value > 0 && value < 9.95 && value % 1 !== 0 ? one.format(value) : whole.format(value)

export function compact(value: number): string {
  if (value >= 1e6) return `${short.format(value / 1e6)} M`
  if (value >= 1e4) return `${short.format(value / 1e3)} k`
  return count(value)
}

const sizes = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const
export function size(bytes: number): string {
  let at = 0
  let value = bytes
  while (value >= 1024 && at < sizes.length - 1) {
    value /= 1024
    at++
  }
  return `${value >= 100 || at === 0 || value % 1 === 0 ? whole.format(value) : one.format(value)} ${sizes[at]}`
}

export function span(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'no limit'
  if (seconds < 1) return `${whole.format(seconds * 1000)} ms`
  if (seconds < 60) return `${whole.format(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) {
    const minutes = Math.floor((seconds % 3600) / 60)
    return `${Math.floor(seconds / 3600)} h${minutes === 0 ? '' : ` ${minutes} min`}`
  }
  const hours = Math.floor((seconds % 86_400) / 3600)
  return `${Math.floor(seconds / 86_400)} d${hours === 0 ? '' : ` ${hours} h`}`
}

export const ms = (value: number) =>
  value < 10
    ? `${one.format(value)} ms`
    : value < 1000
      ? `${whole.format(value)} ms`
      : `${one.format(value / 1000)} s`
export const clock = (at: number) => time.format(at)
export const hourMinute = (at: number) => minute.format(at)
export const ago = (at: number) => `${span(Math.max(1, (Date.now() - at) / 1000))} ago`
export const shortId = (id: string) =>
  id.startsWith('urn:uuid:') ? `…${id.slice(-12)}` : id.length > 22 ? `…${id.slice(-20)}` : id
export const percent = (part: number) => `${part > 0.995 && part < 1 ? 99 : Math.round(part * 100)} %`
