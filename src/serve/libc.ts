import { dlopen } from 'bun:ffi'

/**
 * The functions of the C library that Bun 1.4.5 has no way to call otherwise: the one place where the process reaches
 * past the runtime. The man page of each describes it; a call that can fail answers -1 when it does.
 */
export type Libc = ReturnType<typeof load>

let known: Libc | null = null

/** Opens glibc, else musl. Throws when neither can be called: on another system, or where no code may be made. */
export function openLibc(): Libc {
  known ??= attempt('libc.so.6') ?? load(`libc.musl-${machine}.so.1`)
  return known
}

const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64'

function attempt(name: string): Libc | null {
  try {
    return load(name)
  } catch {
    return null
  }
}

function load(name: string) {
  return dlopen(name, {
    setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
    getsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'ptr'], returns: 'i32' },
    listen: { args: ['i32', 'i32'], returns: 'i32' },
    _exit: { args: ['i32'], returns: 'void' },
    getsockname: { args: ['i32', 'ptr', 'ptr'], returns: 'i32' },
    mmap: { args: ['ptr', 'usize', 'i32', 'i32', 'i32', 'i64'], returns: 'ptr' },
    munmap: { args: ['ptr', 'usize'], returns: 'i32' },
    memcpy: { args: ['ptr', 'ptr', 'usize'], returns: 'ptr' },
  }).symbols
}
