import { ProtocolError } from '../../protocol/error.ts'
import type { Allocate } from '../../transport/memory/stretch.ts'
import { type Libc, openLibc } from '../libc.ts'

/**
 * Memory that the collector of the runtime does not know of; null where the C library cannot be called. Bun 1.4.5
 * counts every buffer as part of its heap and lets as much garbage gather as there is heap: under load each MiB that
 * the past keeps in buffers took three.
 */
export function rawMemory(): Allocate | null {
  const libc = attempt(openLibc)
  if (libc === null) return null
  const { mmap, munmap, memcpy } = libc
  return (bytes) => {
    const address = Number(mmap(null, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0))
    if (address >= MAP_FAILED) throw new ProtocolError('store-full', 'the system has no memory left')
    const at = (offset: number) => (address + offset) as Address
    return {
      write: (offset, from, length) => void memcpy(at(offset), from, length),
      read: (offset, into, length) => void memcpy(into, at(offset), length),
      free: () => void munmap(at(0), bytes),
    }
  }
}

type Address = NonNullable<ReturnType<Libc['mmap']>>

function attempt<T>(open: () => T): T | null {
  try {
    return open()
  } catch {
    return null
  }
}

const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = 0x22
/** `(void *) -1`, as a number that holds 53 bits. */
const MAP_FAILED = 2 ** 63
