/** A stretch of memory that is only copied to and from. Offsets and lengths are within it: nothing checks them. */
export interface Stretch {
  /** Copies the first bytes of an array, `length` of them, to the offset. */
  write(offset: number, from: Uint8Array, length: number): void
  /** Copies `length` bytes at the offset to the start of an array. */
  read(offset: number, into: Uint8Array, length: number): void
  /** Gives the memory back, at once. To be called once, and last. */
  free(): void
}

/** Makes a stretch of that length in bytes. Throws `store-full` when there is no memory. */
export type Allocate = (bytes: number) => Stretch

/** Memory of the runtime. The collector counts it as its own, and lets the more garbage gather the more there is. */
export const allocateBuffer: Allocate = (bytes) => {
  const buffer = new ArrayBuffer(bytes)
  const memory = new Uint8Array(buffer)
  return {
    write: (offset, from, length) => memory.set(from.subarray(0, length), offset),
    read: (offset, into, length) => into.set(memory.subarray(offset, offset + length)),
    // Left to the collector it would stay until there is enough garbage of other kinds.
    free: () => void buffer.transfer(0),
  }
}
