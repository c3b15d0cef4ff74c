import { chmod, mkdir, mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Contents, text } from './contents.ts'
import { type Facts, run, type Target } from './facts.ts'
import { type Entry, file, tar, withFolders } from './tar.ts'

/** Writes the archive of a target into the folder: a zip for Windows, a tar.gz for all others. Answers with its name. */
export async function writeArchive(
  target: Target,
  contents: Contents,
  facts: Facts,
  folder: string,
): Promise<string> {
  const name = `cinnabar-${facts.version}-${target.name}`
  const entries = await membersOf(target, contents, name)
  if (target.os === 'windows') {
    await zip(entries, facts.epoch, join(folder, `${name}.zip`))
    return `${name}.zip`
  }
  await Bun.write(join(folder, `${name}.tar.gz`), Bun.gzipSync(tar(entries, facts.epoch), { level: 9 }))
  return `${name}.tar.gz`
}

/** Writes the entries into a folder, with their modes and all of the same date. Owners are left to who packs it. */
export async function unpackInto(folder: string, entries: readonly Entry[], epoch: number): Promise<void> {
  const all = withFolders(entries)
  for (const { path, mode, content } of all) {
    const place = join(folder, path)
    if (content === 'folder') await mkdir(place)
    else if (content instanceof Uint8Array) await Bun.write(place, content)
    else throw new Error(`${path} is a link`)
    await chmod(place, mode)
  }
  // A folder is changed by what is put into it.
  for (const { path } of all.toReversed()) await utimes(join(folder, path), epoch, epoch)
  await chmod(folder, 0o755)
  await utimes(folder, epoch, epoch)
}

async function membersOf(target: Target, contents: Contents, name: string): Promise<readonly Entry[]> {
  const executable = target.os === 'windows' ? 'cinnabar.exe' : 'cinnabar'
  const units = ['cinnabar.service', 'credentials.conf', 'sysusers.conf', 'tmpfiles.conf']
  const members = [
    file(executable, await Bun.file(target.executable).bytes(), 0o755),
    ...['LICENSE', 'README.md', 'CHANGELOG.md'].map((each) => file(each, text(contents, each))),
    file('THIRD-PARTY-LICENCES', contents.licences),
    file('cinnabar.toml', text(contents, 'packaging/cinnabar.toml')),
    file('cinnabar.1', contents.manual),
    file('completions/cinnabar.bash', contents.bash),
    file('completions/_cinnabar', contents.zsh),
    file('completions/cinnabar.fish', contents.fish),
    ...(target.os === 'linux'
      ? units.map((each) => file(`systemd/${each}`, text(contents, `packaging/${each}`)))
      : []),
  ]
  return members.map((member) => ({ ...member, path: `${name}/${member.path}` }))
}

async function zip(entries: readonly Entry[], epoch: number, archive: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'cinnabar-zip-'))
  try {
    await unpackInto(folder, entries, epoch)
    const paths = withFolders(entries).map(({ path }) => path)
    await mkdir(dirname(archive), { recursive: true })
    await rm(archive, { force: true })
    await run(['zip', '-q', '-X', '-9', archive, ...paths], { cwd: folder })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
