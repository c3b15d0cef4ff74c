/**
 * The data of the events of a run: when it was sent, as microseconds of `performance.now` in twelve digits,
 * and padding. The process that wrote it also reads it, so one clock serves both.
 */
export function stamped(ms: number, bytes: number): string {
  return Math.round(ms * 1000)
    .toString()
    .padStart(STAMP_LENGTH, '0')
    .padEnd(bytes, 'x')
}

/** When the event was sent, in milliseconds. Allocates nothing. */
export function stampedMs(bytes: Uint8Array, from: number): number {
  let us = 0
  for (let at = from; at < from + STAMP_LENGTH; at++) us = us * 10 + (bytes[at] ?? 0) - ZERO
  return us / 1000
}

/** Shorter data could not hold the stamp. */
export const STAMP_LENGTH = 12

const ZERO = 0x30
