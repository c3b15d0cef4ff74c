import { chmod, copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeArchive } from './archive.ts'
import { contentsOf } from './contents.ts'
import { writeDeb } from './deb.ts'
import { unpackedPackages } from './debian.ts'
import { type Facts, factsOfCheckout, root, type Target, targets } from './facts.ts'
import { basePackages, type Image, imageArchive, imagesArchive, makeImage } from './image.ts'
import { isWhole, signed } from './mach-o.ts'

/** Packs the executables that `scripts/release.sh` has built into `dist/release`. */

const out = join(root, 'dist/release')

async function main(): Promise<void> {
  const facts = await factsOfCheckout()
  const contents = await contentsOf(`${root}dist/cinnabar`, facts)
  await rm(out, { recursive: true, force: true })
  await mkdir(out, { recursive: true })
  const names: string[] = []
  const images: Image[] = []
  for (const target of targets) {
    if (target.os === 'darwin') await signForMacos(target)
    names.push(await copyExecutable(target, facts), await writeArchive(target, contents, facts, out))
    if (target.os !== 'linux' || target.isMusl) continue
    const architecture = target.arch === 'x64' ? 'amd64' : 'arm64'
    const { executable } = target
    names.push(await writeDeb({ architecture, executable, contents, facts, folder: out }))
    const base = await unpackedPackages(architecture, basePackages)
    const image = await makeImage(architecture, executable, base, contents, facts)
    await rm(base.folder, { recursive: true })
    images.push(image)
    names.push(await write(`cinnabar-${facts.version}-image-${architecture}.tar`, imageArchive(image, facts)))
    console.error(`packed ${target.name}`)
  }
  names.push(await write(`cinnabar-${facts.version}-image.tar`, imagesArchive(images, facts)))
  names.push(await write(`cinnabar-${facts.version}.cdx.json`, contents.billOfMaterials))
  await write('SHA256SUMS', await checksums(names))
}

/** Leaves a signature that is true where it is not. */
async function signForMacos({ name, executable }: Target): Promise<void> {
  const bytes = await Bun.file(executable).bytes()
  if (isWhole(bytes)) return
  const whole = signed(bytes, 'cinnabar')
  if (!isWhole(whole)) throw new Error(`the signature of ${name} is wrong`)
  await Bun.write(executable, whole)
}

async function copyExecutable(target: Target, { version }: Facts): Promise<string> {
  const name = `cinnabar-${version}-${target.name}${target.os === 'windows' ? '.exe' : ''}`
  await copyFile(target.executable, join(out, name))
  await chmod(join(out, name), 0o755)
  return name
}

async function write(name: string, content: string | Uint8Array<ArrayBuffer>): Promise<string> {
  await Bun.write(join(out, name), content)
  return name
}

/** As `sha256sum --check` reads them. */
async function checksums(names: readonly string[]): Promise<string> {
  const lines = await Promise.all(
    names.toSorted().map(async (name) => {
      const bytes = await Bun.file(join(out, name)).bytes()
      return `${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}  ${name}\n`
    }),
  )
  return lines.join('')
}

await main()
