import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unpackInto } from './archive.ts'
import { type Contents, text } from './contents.ts'
import { type Facts, run } from './facts.ts'
import { type Entry, file } from './tar.ts'

/** What a package is made of. */
export interface DebOptions {
  /** Debian's name of the architecture. */
  readonly architecture: 'amd64' | 'arm64'
  readonly executable: string
  readonly contents: Contents
  readonly facts: Facts
  /** Where it is written. */
  readonly folder: string
  /** How hard it is compressed, from 1 to 22. By default so that it is a tenth smaller and takes some seconds. */
  readonly level?: number
}

/** Writes `cinnabar_VERSION_ARCHITECTURE.deb` and answers with its name. */
export async function writeDeb(options: DebOptions): Promise<string> {
  const { architecture, facts, folder } = options
  const name = `cinnabar_${debianVersion(facts.version)}_${architecture}.deb`
  const staging = await mkdtemp(join(tmpdir(), 'cinnabar-deb-'))
  try {
    const files = await filesOf(options)
    await unpackInto(staging, [...files, ...controlFiles(files, options)], facts.epoch)
    const env = { SOURCE_DATE_EPOCH: String(facts.epoch) }
    // xz would make it a fifth smaller and take 40 s.
    const compression = ['--threads-max=1', '-Zzstd', `-z${options.level ?? 9}`]
    await run(['dpkg-deb', '--root-owner-group', ...compression, '--build', staging, join(folder, name)], {
      env,
    })
    return name
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** A version with its order kept: what is before a release sorts before it. */
export function debianVersion(version: string): string {
  return version.replace('-', '~')
}

async function filesOf({ executable, contents, facts }: DebOptions): Promise<readonly Entry[]> {
  const doc = 'usr/share/doc/cinnabar'
  return [
    file('usr/bin/cinnabar', await Bun.file(executable).bytes(), 0o755),
    file('etc/cinnabar/cinnabar.toml', text(contents, 'packaging/cinnabar.toml')),
    file('usr/lib/systemd/system/cinnabar.service', text(contents, 'packaging/cinnabar.service')),
    file('usr/lib/sysusers.d/cinnabar.conf', text(contents, 'packaging/sysusers.conf')),
    file('usr/lib/tmpfiles.d/cinnabar.conf', text(contents, 'packaging/tmpfiles.conf')),
    file('usr/share/man/man1/cinnabar.1.gz', compressed(contents.manual)),
    file('usr/share/bash-completion/completions/cinnabar', contents.bash),
    file('usr/share/zsh/vendor-completions/_cinnabar', contents.zsh),
    file('usr/share/fish/vendor_completions.d/cinnabar.fish', contents.fish),
    file(`${doc}/copyright`, text(contents, 'packaging/debian/copyright')),
    file(`${doc}/THIRD-PARTY-LICENCES`, contents.licences),
    file(`${doc}/README.md`, text(contents, 'README.md')),
    file(`${doc}/NEWS.md.gz`, compressed(text(contents, 'CHANGELOG.md'))),
    file(`${doc}/changelog.gz`, compressed(debianChangelog(facts))),
    file(`${doc}/examples/credentials.conf`, text(contents, 'packaging/credentials.conf')),
  ]
}

function controlFiles(files: readonly Entry[], options: DebOptions): readonly Entry[] {
  const sums = files.map(({ path, content }) => `${digest('md5', bytesOf(content))}  ${path}\n`)
  const script = (name: string) =>
    file(`DEBIAN/${name}`, text(options.contents, `packaging/debian/${name}`), 0o755)
  return [
    file('DEBIAN/control', controlFile(files, options)),
    file('DEBIAN/conffiles', '/etc/cinnabar/cinnabar.toml\n'),
    file('DEBIAN/md5sums', sums.join('')),
    ...['postinst', 'prerm', 'postrm'].map(script),
  ]
}

function controlFile(files: readonly Entry[], { architecture, facts }: DebOptions): string {
  const kibibytes = files.reduce((sum, { content }) => sum + Math.ceil(bytesOf(content).length / 1024), 0)
  return `Package: cinnabar
Version: ${debianVersion(facts.version)}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${kibibytes}
Depends: libc6 (>= 2.17), passwd
Section: net
Priority: optional
Description: Mercure hub in one executable, with a bounded past
 Publishers POST updates to topics, browsers and servers receive them as
 Server-Sent Events, tokens decide who may read private ones, and a client
 that comes back goes on from the last event it saw.
 .
 The service needs keys before it starts: see /etc/cinnabar/cinnabar.toml.
`
}

const maintainer = 'The cinnabar maintainers <maintainers@cinnabar.invalid>'

function debianChangelog({ version, epoch }: Facts): string {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')
  const body = `  * See NEWS.md.gz beside this file.\n\n -- ${maintainer}  ${date}\n`
  return `cinnabar (${debianVersion(version)}) stable; urgency=medium\n\n${body}`
}

function bytesOf(content: Entry['content']): Uint8Array {
  return content instanceof Uint8Array ? content : new Uint8Array()
}

function compressed(content: string): Uint8Array {
  return Bun.gzipSync(new TextEncoder().encode(content), { level: 9 })
}

function digest(algorithm: 'md5' | 'sha256', content: Uint8Array): string {
  return new Bun.CryptoHasher(algorithm).update(content).digest('hex')
}
