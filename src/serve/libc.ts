import { dlopen } from 'bun:ffi'

/**
 * The functions of the C library that Bun 1.4.5 has no way to call otherwise: the one place where the process reaches
 * past the runtime. The man page of each describes it; a call that can fail answers -1 when it does.
 */
export type Libc = ReturnType<typeof load>

let known: Libc | null = null

/** Opens glibc, else musl. Throws when neither can be called: on another system, or where no code may be made. */
export function openLibc(): Libc {
  known ??= either(load)
  return known
}

/** The functions that send a datagram to a Unix socket, which Bun 1.4.5 has no way to do, and the clock that goes with it. */
export type Datagrams = ReturnType<typeof loadDatagrams>

/** Opens them anew, for the one caller who needs them. Throws as `openLibc` does. */
export function openDatagrams(): Datagrams {
  return either(loadDatagrams)
}

const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64'

function either<T>(load: (name: string) => T): T {
  try {
    return load('libc.so.6')
  } catch {
    return load(`libc.musl-${machine}.so.1`)
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

function loadDatagrams(name: string) {
  return dlopen(name, {
    socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    // Its answer fits into 32 bits, since a datagram of the hub does.
    sendto: { args: ['i32', 'ptr', 'usize', 'i32', 'ptr', 'u32'], returns: 'i32' },
    clock_gettime: { args: ['i32', 'ptr'], returns: 'i32' },
  }).symbols
}
