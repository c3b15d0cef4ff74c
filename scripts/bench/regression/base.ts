import { symlink } from 'node:fs/promises'
import { join } from 'node:path'

/** The commit that a build is compared with. */
export interface Base {
  /** How it was found, for someone who reads the log. */
  readonly name: string
  readonly commit: string
}

/** Leaves the choice to `findBase`. */
export const AUTO = 'auto'

/**
 * The commit of that name. With `auto` it is the last release before this commit, so that many small steps are seen
 * as one; without a release it is where this branch has left the default branch of its origin, and where it has not,
 * the (first) parent. Null when the clone holds none of them: it is shallow, or this is the first commit. Throws when
 * a commit that was named is not there.
 */
export async function findBase(asked: string, checkout: string): Promise<Base | null> {
  const commitOf = (name: string) =>
    git(checkout, ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`])
  if (asked !== AUTO) {
    const commit = await commitOf(asked)
    if (commit === null) throw new Error(`there is no commit ${asked} here`)
    return { name: asked, commit }
  }
  const head = await commitOf('HEAD')
  const candidates = [
    await git(checkout, ['describe', '--tags', '--abbrev=0', '--match', 'v[0-9]*', 'HEAD~1']),
    await git(checkout, ['merge-base', 'HEAD', 'origin/HEAD']),
    'HEAD~1',
  ]
  for (const name of candidates) {
    const commit = name === null ? null : await commitOf(name)
    if (name !== null && commit !== null && commit !== head) return { name, commit }
  }
  return null
}

/**
 * Builds the executable of a commit in an empty folder, as that commit builds it, and answers with its path. Nothing
 * of the checkout changes. Rejects with what the build said when there is none.
 */
export async function buildBase({ commit }: Base, checkout: string, folder: string): Promise<string> {
  await Bun.$`git archive ${commit} | tar -x -C ${folder}`.cwd(checkout).quiet()
  // The same runtime need not be installed twice. A commit that pins another one gets that.
  if ((await pinnedBun(folder)) === (await pinnedBun(checkout))) {
    await symlink(join(checkout, '.tools'), join(folder, '.tools'))
  }
  const built = await Bun.$`sh scripts/build.sh`.cwd(folder).quiet().nothrow()
  if (built.exitCode !== 0) throw new Error(built.stderr.toString().trim())
  return join(folder, 'dist/cinnabar')
}

async function pinnedBun(folder: string): Promise<unknown> {
  return (await Bun.file(join(folder, 'package.json')).json()).devDependencies.bun
}

/** What git prints, or null when it fails. */
async function git(checkout: string, words: readonly string[]): Promise<string | null> {
  const { exitCode, stdout } = await Bun.$`git ${words}`.cwd(checkout).quiet().nothrow()
  return exitCode === 0 ? stdout.toString().trim() : null
}
