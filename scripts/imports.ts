import { dirname, join, relative } from 'node:path'
import { Glob } from 'bun'

/** One file that takes something from another, or from outside. */
export interface Import {
  /** Relative to the folder that was read. */
  readonly from: string
  /** The same, for a file of ours; otherwise the name of the module. */
  readonly to: string
  /** Whether types alone are taken. */
  readonly isType: boolean
  /** Whether it is evaluated when the file that imports it is. */
  readonly isAtOnce: boolean
}

/** The TypeScript files below a folder, in order. */
export function filesOf(folder: string): readonly string[] {
  return [...new Glob('**/*.{ts,tsx}').scanSync(folder)].sort()
}

/** Everything that the files import. A worker and what is loaded by a call count, in their own spelling. */
export async function importsOf(folder: string, files: readonly string[]): Promise<readonly Import[]> {
  const read = files.map(async (file) => {
    const text = await Bun.file(join(folder, file)).text()
    return [...text.matchAll(PATTERN)].map(([, type, specifier, worker, called]): Import => {
      const to = specifier ?? worker ?? called ?? ''
      const isOurs = to.startsWith('.')
      return {
        from: file,
        to: isOurs ? relative(folder, join(folder, dirname(file), to)) : to,
        isType: type !== undefined,
        isAtOnce: specifier !== undefined && type === undefined,
      }
    })
  })
  return (await Promise.all(read)).flat()
}

const PATTERN =
  /(?:^|\n)\s*(?:import|export)\s+(type\s+)?[^;'"]*?from\s+'([^']+)'|new URL\('(\.[^']+\.tsx?)'|\b(?:import|require|getBuiltinModule)\('([^']+)'/g
