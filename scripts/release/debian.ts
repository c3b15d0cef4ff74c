import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './facts.ts'

/** Packages of the Debian that this machine has sources for, also of another architecture; nothing is installed. */

/** Packages that were unpacked. */
export interface Unpacked {
  /** The root of their files. */
  readonly folder: string
  /** The version of each by its name. */
  readonly versions: ReadonlyMap<string, string>
}

/**
 * Downloads the packages and unpacks them into one folder, which is the caller's to remove. The lists of apt are in a
 * folder of their own, so that it takes no rights and changes nothing of this machine. `release`: the name of another
 * Debian than the sources name, from the same place.
 */
export async function unpackedPackages(
  architecture: string,
  packages: readonly string[],
  release: string | null = null,
): Promise<Unpacked> {
  const apt = await mkdtemp(join(tmpdir(), 'cinnabar-apt-'))
  const folder = await mkdtemp(join(tmpdir(), 'cinnabar-base-'))
  try {
    for (const part of ['state/lists/partial', 'cache/archives/partial', 'debs']) {
      await mkdir(join(apt, part), { recursive: true })
    }
    await Bun.write(join(apt, 'status'), '')
    if (release !== null) await Bun.write(join(apt, 'sources.list'), await sourceOf(release))
    const options = optionsOf(apt, architecture, release)
    await run(['apt-get', ...options, 'update'])
    await run(['apt-get', ...options, 'download', ...packages], { cwd: join(apt, 'debs') })
    const versions = new Map<string, string>()
    for (const name of (await readdir(join(apt, 'debs'))).sort()) {
      const deb = join(apt, 'debs', name)
      await run(['dpkg-deb', '-x', deb, folder])
      const field = async (of: string) =>
        new TextDecoder().decode(await run(['dpkg-deb', '-f', deb, of])).trim()
      versions.set(await field('Package'), await field('Version'))
    }
    return { folder, versions }
  } finally {
    await rm(apt, { recursive: true, force: true })
  }
}

/** The line of another release, at the place that this machine has its own from. */
async function sourceOf(release: string): Promise<string> {
  const format = '$(ORIGIN)/$(LABEL) $(REPO_URI)'
  const text = new TextDecoder().decode(await run(['apt-get', 'indextargets', '--format', format]))
  const place = /^Debian\/Debian (\S+)$/m.exec(text)?.[1]
  if (place === undefined) throw new Error('this machine has no source of Debian')
  return `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${place} ${release} main\n`
}

function optionsOf(apt: string, architecture: string, release: string | null): readonly string[] {
  const sources = [`Dir::Etc::sourcelist=${apt}/sources.list`, 'Dir::Etc::sourceparts=/dev/null']
  return [
    ...(release === null ? [] : sources),
    `Dir::State=${apt}/state`,
    `Dir::State::status=${apt}/status`,
    `Dir::Cache=${apt}/cache`,
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
    // A source that has nothing for the architecture is no reason to give up.
    'APT::Update::Error-Mode=any',
  ].flatMap((option) => ['-o', option])
}
