import { lstatSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

/**
 * The absolute path of the file itself behind all links, also when it is not there yet: SQLite keeps the
 * journal beside the file and not beside a link, and one file has one lock. A path that leads nowhere stays as it is.
 */
export function realPath(path: string): string {
  return follow(resolve(path), LINKS_MAX) ?? resolve(path)
}

function follow(path: string, links: number): string | null {
  try {
    return realpathSync(path)
  } catch {
    // The file, or the target of its link, is still to be made.
  }
  try {
    const real = join(realpathSync(dirname(path)), basename(path))
    const isLink = lstatSync(real, { throwIfNoEntry: false })?.isSymbolicLink() === true
    if (!isLink) return real
    return links === 0 ? null : follow(resolve(dirname(real), readlinkSync(real)), links - 1)
  } catch {
    return null
  }
}

// The number of links that Linux follows.
const LINKS_MAX = 40
