/**
 * Signatures of executables for macOS. Bun 1.4.5 signs what it makes for Apple's processors and leaves in those for
 * Intel the signature of the runtime, which is not true of them any more: a system that looks at it ends the process.
 * An ad-hoc signature names nobody; it only says that the file is whole. The layout is that of Apple's cs_blobs.h.
 */

/** Whether every page of the file is the one that its signature was made of. Throws when it is no such file. */
export function isWhole(file: Uint8Array): boolean {
  const { signature } = read(file)
  const blob = file.subarray(signature.offset, signature.offset + signature.size)
  const directory = codeDirectory(blob)
  const [hashes, slots, limit] = [word(directory, 16), word(directory, 28), word(directory, 32)]
  if (limit !== signature.offset || slots !== Math.ceil(limit / PAGE)) return false
  return pagesOf(file, limit).every((page, at) => {
    const expected = directory.subarray(hashes + at * HASH, hashes + (at + 1) * HASH)
    return Buffer.compare(digest(page), expected) === 0
  })
}

/** The file with an ad-hoc signature in place of the one it has. Throws when it is no such file. */
export function signed(file: Uint8Array, identifier: string): Uint8Array<ArrayBuffer> {
  const { signature, linkedit, text } = read(file)
  const limit = signature.offset
  const name = new TextEncoder().encode(`${identifier}\0`)
  const slots = Math.ceil(limit / PAGE)
  const directorySize = DIRECTORY + name.length + slots * HASH
  const size = SUPER_BLOB + directorySize
  const out = new Uint8Array(limit + size)
  out.set(file.subarray(0, limit))

  // The commands that tell the place of the signature are themselves signed, so they come first.
  const view = new DataView(out.buffer)
  view.setUint32(signature.command + 12, size, true)
  view.setBigUint64(linkedit.command + 48, BigInt(limit + size - linkedit.fileOffset), true)
  const linkeditMemory = Math.ceil((limit + size - linkedit.fileOffset) / PAGE) * PAGE
  view.setBigUint64(linkedit.command + 32, BigInt(linkeditMemory), true)

  const words = (at: number, values: readonly number[]) => {
    for (const [index, value] of values.entries()) view.setUint32(at + 4 * index, value)
  }
  words(limit, [MAGIC_SUPER_BLOB, size, 1, 0, SUPER_BLOB])
  const at = limit + SUPER_BLOB
  const hashOffset = DIRECTORY + name.length
  words(at, [MAGIC_DIRECTORY, directorySize, VERSION, AD_HOC, hashOffset, DIRECTORY, 0, slots, limit])
  out.set([HASH, SHA256, 0, Math.log2(PAGE)], at + 36)
  view.setBigUint64(at + 72, BigInt(text.fileSize))
  view.setBigUint64(at + 80, MAIN_BINARY)
  out.set(name, at + DIRECTORY)
  for (const [index, page] of pagesOf(out, limit).entries()) {
    out.set(digest(page), at + hashOffset + index * HASH)
  }
  return out
}

const PAGE = 4096
const HASH = 32
const SHA256 = 2
/** Bytes of the head of a signature with one part. */
const SUPER_BLOB = 20
/** Bytes of the head of the list of pages. */
const DIRECTORY = 88
const VERSION = 0x20400
const AD_HOC = 2
const MAIN_BINARY = 1n
const MAGIC_SUPER_BLOB = 0xfade0cc0
const MAGIC_DIRECTORY = 0xfade0c02
const MACH_O_64 = 0xfeedfacf
const SEGMENT_64 = 0x19
const CODE_SIGNATURE = 0x1d

interface Segment {
  /** Where its command is. */
  readonly command: number
  readonly fileOffset: number
  readonly fileSize: number
}

interface Layout {
  readonly text: Segment
  readonly linkedit: Segment
  readonly signature: { readonly command: number; readonly offset: number; readonly size: number }
}

function read(file: Uint8Array): Layout {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (view.getUint32(0, true) !== MACH_O_64) throw new Error('it is no executable for macOS')
  const segments = new Map<string, Segment>()
  let signature: Layout['signature'] | null = null
  let command = 32
  for (let left = view.getUint32(16, true); left > 0; left--) {
    const kind = view.getUint32(command, true)
    if (kind === SEGMENT_64) {
      const name = new TextDecoder().decode(file.subarray(command + 8, command + 24)).replace(/\0.*/s, '')
      const [fileOffset, fileSize] = [40, 48].map((at) => Number(view.getBigUint64(command + at, true)))
      segments.set(name, { command, fileOffset: fileOffset ?? 0, fileSize: fileSize ?? 0 })
    } else if (kind === CODE_SIGNATURE) {
      const [offset, size] = [view.getUint32(command + 8, true), view.getUint32(command + 12, true)]
      signature = { command, offset, size }
    }
    command += view.getUint32(command + 4, true)
  }
  const [text, linkedit] = [segments.get('__TEXT'), segments.get('__LINKEDIT')]
  if (text === undefined || linkedit === undefined || signature === null) {
    throw new Error('it has no place for a signature')
  }
  return { text, linkedit, signature }
}

function codeDirectory(blob: Uint8Array): Uint8Array {
  if (word(blob, 0) !== MAGIC_SUPER_BLOB) throw new Error('it has no signature')
  for (let at = 12; at < 12 + 8 * word(blob, 8); at += 8) {
    const part = blob.subarray(word(blob, at + 4))
    if (word(part, 0) === MAGIC_DIRECTORY) return part
  }
  throw new Error('its signature has no list of pages')
}

function pagesOf(file: Uint8Array, limit: number): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(limit / PAGE) }, (_, at) =>
    file.subarray(at * PAGE, Math.min((at + 1) * PAGE, limit)),
  )
}

/** A number as signatures have them, the largest byte first. */
function word(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at)
}

function digest(page: Uint8Array): Uint8Array {
  return new Bun.CryptoHasher('sha256').update(page).digest()
}
