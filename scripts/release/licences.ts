import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, run } from './facts.ts'

/** A package of which at least one file is in the executable. */
export interface Bundled {
  readonly name: string
  readonly version: string
  /** Its identifier as SPDX has it, as the package says. */
  readonly licence: string
  /** The texts that have to go with it. */
  readonly texts: readonly string[]
  /** The names of the packages that it asks for. */
  readonly dependencies: readonly string[]
}

/** The packages in the executable, by name: those that the bundler has read, and nothing that is only installed. */
export async function bundledPackages(): Promise<readonly Bundled[]> {
  const out = await mkdtemp(join(tmpdir(), 'cinnabar-bundle-'))
  try {
    const metafile = join(out, 'meta.json')
    await run([
      ...[process.execPath, 'build', '--target=bun', '--format=esm', '--splitting'],
      ...['--tsconfig-override=scripts/tsconfig.build.json', `--metafile=${metafile}`, `--outdir=${out}`],
      ...['src/main.ts', 'src/transport/sqlite/writer.ts'],
    ])
    const { inputs }: { inputs: Readonly<Record<string, unknown>> } = await Bun.file(metafile).json()
    const folders = new Set(Object.keys(inputs).flatMap((path) => packageFolder(path) ?? []))
    return await Promise.all([...folders].sort().map(readPackage))
  } finally {
    await rm(out, { recursive: true, force: true })
  }
}

/** The licences of everything in the executable, as one text: the runtime first, then the packages. */
export async function thirdPartyLicences(packages: readonly Bundled[]): Promise<string> {
  const runtime = await Bun.file(`${root}packaging/runtime-licences.md`).text()
  const parts = packages.map(
    ({ name, version, licence, texts }) => `# ${name} ${version} (${licence})\n\n${texts.join('\n\n')}\n`,
  )
  return [runtime, ...parts].join('\n')
}

/** The licence of a package that is published without its text, as its repository has it; none where it is not kept. */
async function keptLicence(name: string): Promise<readonly string[]> {
  const file = Bun.file(`${root}packaging/licences/${name.replace('/', '-')}.txt`)
  return (await file.exists()) ? [await file.text()] : []
}

function packageFolder(path: string): string | null {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? null
}

async function readPackage(folder: string): Promise<Bundled> {
  const manifest: {
    readonly name: string
    readonly version: string
    readonly license?: string
    readonly dependencies?: Readonly<Record<string, string>>
  } = await Bun.file(join(root, folder, 'package.json')).json()
  const names = (await readdir(join(root, folder)))
    .filter((name) => /^(licen[cs]e|notice)\b/i.test(name))
    .sort()
  const { name, version, license, dependencies = {} } = manifest
  const own = await Promise.all(names.map((each) => Bun.file(join(root, folder, each)).text()))
  const texts = own.length > 0 ? own : await keptLicence(name)
  if (license === undefined || texts.length === 0) throw new Error(`${name} comes without its licence`)
  const trimmed = texts.map((text) => text.replaceAll('\r\n', '\n').trim())
  return { name, version, licence: license, texts: trimmed, dependencies: Object.keys(dependencies).sort() }
}
