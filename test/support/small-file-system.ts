import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A small file system in memory, or null where this user may not mount one. */
export function mountSmall(): string | null {
  const path = mkdtempSync(join(tmpdir(), 'cinnabar-small-'))
  const { exitCode } = Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', path])
  if (exitCode === 0) return path
  rmSync(path, { recursive: true })
  return null
}

export function unmount(path: string): void {
  Bun.spawnSync(['umount', path])
  rmSync(path, { recursive: true, force: true })
}

/** Whether this user may mount one. */
export function mayMount(): boolean {
  const trial = mountSmall()
  if (trial !== null) unmount(trial)
  return trial !== null
}

/** Takes all the room that there is but so many bytes, by the file `ballast`. */
export function takeRoom(directory: string, leave = 0): void {
  const ballast = join(directory, 'ballast')
  const file = openSync(ballast, 'a')
  const block = new Uint8Array(4096)
  try {
    for (;;) writeSync(file, block)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  } finally {
    closeSync(file)
  }
  if (leave > 0) truncateSync(ballast, Bun.file(ballast).size - leave)
}
