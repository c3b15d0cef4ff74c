/** Tar archives (POSIX ustar) that are the same for the same files, whoever makes them, where and when. */

/** A file, folder or symbolic link in an archive. */
export interface Entry {
  /** Relative, with slashes, and none at its end. */
  readonly path: string
  readonly mode: number
  /** Owner and group; root by default. */
  readonly owner?: number
  readonly content: Uint8Array | 'folder' | { readonly link: string }
}

/** A file of an archive, from its text or bytes. */
export function file(path: string, content: Uint8Array | string, mode = 0o644): Entry {
  return { path, mode, content: typeof content === 'string' ? new TextEncoder().encode(content) : content }
}

/** A folder of an archive. */
export function folder(path: string, mode = 0o755, owner = 0): Entry {
  return { path, mode, owner, content: 'folder' }
}

/** The archive of the entries, sorted by path, with the folders that they are in. `epoch`: seconds since 1970. */
export function tar(entries: readonly Entry[], epoch: number): Uint8Array<ArrayBuffer> {
  const blocks = withFolders(entries).flatMap((entry) => {
    const content = entry.content instanceof Uint8Array ? entry.content : new Uint8Array()
    return [header(entry, content.length, epoch), content, new Uint8Array(-content.length & (BLOCK - 1))]
  })
  return Bun.concatArrayBuffers([...blocks, new Uint8Array(2 * BLOCK)], Number.POSITIVE_INFINITY, true)
}

/** The entries with every folder above them, sorted so that a folder comes before what is in it. */
export function withFolders(entries: readonly Entry[]): readonly Entry[] {
  const all = new Map<string, Entry>()
  for (const { path } of entries) {
    const parts = path.split('/').slice(0, -1)
    for (const at of parts.keys()) {
      const above = parts.slice(0, at + 1).join('/')
      all.set(above, folder(above))
    }
  }
  for (const entry of entries) all.set(entry.path, entry)
  return [...all.values()].sort((left, right) => (left.path < right.path ? -1 : 1))
}

const BLOCK = 512

function header({ path, mode, owner = 0, content }: Entry, size: number, epoch: number): Uint8Array {
  const block = new Uint8Array(BLOCK)
  const write = (text: string, at: number, length: number) => {
    const bytes = new TextEncoder().encode(text)
    if (bytes.length > length) throw new Error(`${path} does not fit into a tar header`)
    block.set(bytes, at)
  }
  const number = (value: number, at: number, length: number) =>
    write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, length)
  const isFolder = content === 'folder'
  const link = isFolder || content instanceof Uint8Array ? '' : content.link
  write(`${path}${isFolder ? '/' : ''}`, 0, 100)
  number(mode, 100, 8)
  number(owner, 108, 8)
  number(owner, 116, 8)
  number(size, 124, 12)
  number(epoch, 136, 12)
  write('        ', 148, 8)
  write(isFolder ? '5' : link === '' ? '0' : '2', 156, 1)
  write(link, 157, 100)
  write('ustar\x0000', 257, 8)
  const sum = block.reduce((total, byte) => total + byte, 0)
  write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8)
  return block
}
