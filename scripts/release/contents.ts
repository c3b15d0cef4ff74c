import { type Facts, root, run } from './facts.ts'
import { bundledPackages, thirdPartyLicences } from './licences.ts'
import { billOfMaterials } from './sbom.ts'

/** The texts that go with the executable in every kind of package. */
export interface Contents {
  readonly manual: string
  readonly bash: string
  readonly zsh: string
  readonly fish: string
  readonly licences: string
  readonly billOfMaterials: string
  /** Files of the checkout, by their names. */
  readonly files: ReadonlyMap<string, string>
}

const files = [
  ...['LICENSE', 'README.md', 'CHANGELOG.md', 'packaging/cinnabar.toml', 'packaging/cinnabar.service'],
  ...['packaging/sysusers.conf', 'packaging/tmpfiles.conf', 'packaging/credentials.conf'],
  ...['copyright', 'postinst', 'prerm', 'postrm'].map((name) => `packaging/debian/${name}`),
]

/** Collects them. `executable` runs on this machine and writes its manual page and completions. */
export async function contentsOf(executable: string, facts: Facts): Promise<Contents> {
  const packages = await bundledPackages()
  return {
    manual: await printed([executable, 'man']),
    bash: await printed([executable, 'completion', 'bash']),
    zsh: await printed([executable, 'completion', 'zsh']),
    fish: await printed([executable, 'completion', 'fish']),
    licences: await thirdPartyLicences(packages),
    billOfMaterials: await billOfMaterials(facts, packages),
    files: new Map(
      await Promise.all(files.map(async (name) => [name, await Bun.file(`${root}${name}`).text()] as const)),
    ),
  }
}

/** A file of the checkout that is among the contents. */
export function text({ files }: Contents, name: string): string {
  const found = files.get(name)
  if (found === undefined) throw new Error(`${name} is not among the contents`)
  return found
}

async function printed(command: readonly string[]): Promise<string> {
  return new TextDecoder().decode(await run(command))
}
