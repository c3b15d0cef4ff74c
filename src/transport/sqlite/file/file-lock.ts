import { dlopen } from 'bun:ffi'

/**
 * A lock on a file itself, under all of its names. It belongs to the open descriptor: the kernel lets go of it when
 * that is closed or the process ends. It is on a byte far behind those that SQLite locks, so that tools can work on the
 * file meanwhile. Bun 1.4.5 has no way to ask for it, so this module calls the C library; only Linux has such locks.
 */

/** `unknown` where nobody can tell: on another system, a file system without locks, or where no code may be made. */
export type Locking = 'taken' | 'held' | 'unknown'

/** Locks the file of the descriptor, which must be open for writing. Answers at once. */
export function lockFile(descriptor: number): Locking {
  const library = openLibrary()
  if (library === null) return 'unknown'
  if (library.fcntl(descriptor, F_OFD_SETLK, request()) === 0) return 'taken'
  return isLocked(descriptor) ? 'held' : 'unknown'
}

/** Whether another descriptor has locked the file. Only looks. */
export function isLocked(descriptor: number): boolean {
  const library = openLibrary()
  const lock = request()
  // The kernel writes into the request which lock is in the way, or that there is none.
  return library !== null && library.fcntl(descriptor, F_OFD_GETLK, lock) === 0 && lock[0] !== F_UNLCK
}

/**
 * Shares the file of the descriptor with other readers, by the lock on whole files that other programs use (`flock`): a
 * program that wants the file for itself waits until the descriptor is closed. Answers at once; `held`: such a program
 * has it.
 */
export function shareFile(descriptor: number): Locking {
  const library = openLibrary()
  if (library === null) return 'unknown'
  if (library.flock(descriptor, LOCK_SH | LOCK_NB) === 0) return 'taken'
  // Where there are such locks at all, to give back one that nobody has succeeds.
  return library.flock(descriptor, LOCK_UN) === 0 ? 'held' : 'unknown'
}

type Library = ReturnType<typeof load>

let known: Library | null | undefined

function openLibrary(): Library | null {
  if (known === undefined)
    known = process.platform === 'linux' ? (attempt('libc.so.6') ?? attempt(MUSL)) : null
  return known
}

function attempt(name: string): Library | null {
  try {
    return load(name)
  } catch {
    return null
  }
}

function load(name: string) {
  return dlopen(name, {
    fcntl: { args: ['i32', 'i32', 'ptr'], returns: 'i32' },
    flock: { args: ['i32', 'i32'], returns: 'i32' },
  }).symbols
}

/** `struct flock` of 64-bit Linux: type and whence of 2 bytes each, start and length of 8 at 8 and 16, and 8 more. */
function request(): Uint8Array {
  const lock = new DataView(new ArrayBuffer(32))
  lock.setInt16(0, F_WRLCK, true)
  lock.setBigInt64(8, PLACE, true)
  lock.setBigInt64(16, 1n, true)
  return new Uint8Array(lock.buffer)
}

const MUSL = `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`

const F_OFD_GETLK = 36
const F_OFD_SETLK = 37
const F_WRLCK = 1
const F_UNLCK = 2
const LOCK_SH = 1
const LOCK_NB = 4
const LOCK_UN = 8

// SQLite locks 512 bytes from 1 GiB on.
const PLACE = 1n << 40n
