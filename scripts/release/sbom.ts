import manifest from '../../package.json' with { type: 'json' }
import { type Facts, root } from './facts.ts'
import type { Bundled } from './licences.ts'

/**
 * The bill of materials of the executable, as CycloneDX 1.6 in JSON: the runtime, and the packages that are in it with
 * the checksums of bun.lock. https://cyclonedx.org/docs/1.6/json/
 */
export async function billOfMaterials(facts: Facts, packages: readonly Bundled[]): Promise<string> {
  const checksums = await lockedChecksums()
  const inside = new Set(packages.map(({ name }) => name))
  const references = new Map(packages.map(({ name, version }) => [name, purl(name, version)]))
  const runtime = component('bun', manifest.devDependencies.bun, 'MIT', checksums)
  const own = `pkg:generic/cinnabar@${facts.version}`
  const dependsOn = (names: readonly string[]) =>
    names.filter((name) => inside.has(name)).flatMap((name) => references.get(name) ?? [])
  const bill = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(`${facts.commit} ${facts.version}`)}`,
    version: 1,
    metadata: {
      timestamp: new Date(facts.epoch * 1000).toISOString(),
      component: {
        type: 'application',
        'bom-ref': own,
        name: manifest.name,
        version: facts.version,
        description: manifest.description,
        licenses: [{ license: { id: manifest.license } }],
        purl: own,
        properties: [{ name: 'cinnabar:commit', value: facts.commit }],
      },
    },
    components: [
      { ...runtime, type: 'platform' },
      ...packages.map(({ name, version, licence }) => component(name, version, licence, checksums)),
    ],
    dependencies: [
      { ref: own, dependsOn: [runtime['bom-ref'], ...dependsOn(Object.keys(manifest.dependencies).sort())] },
      { ref: runtime['bom-ref'], dependsOn: [] },
      ...packages.map(({ name, version, dependencies }) => ({
        ref: purl(name, version),
        dependsOn: dependsOn(dependencies),
      })),
    ],
  }
  return `${JSON.stringify(bill, null, 2)}\n`
}

function component(name: string, version: string, licence: string, checksums: ReadonlyMap<string, string>) {
  const checksum = checksums.get(`${name}@${version}`)
  if (checksum === undefined) throw new Error(`${name} ${version} is not in bun.lock`)
  const reference = purl(name, version)
  return {
    type: 'library',
    'bom-ref': reference,
    name,
    version,
    scope: 'required',
    hashes: [{ alg: 'SHA-512', content: Buffer.from(checksum, 'base64').toString('hex') }],
    // An expression such as `MIT OR Apache-2.0` has a member of its own.
    licenses: / /.test(licence) ? [{ expression: licence }] : [{ license: { id: licence } }],
    purl: reference,
  }
}

/** The address of a package of npm, as https://github.com/package-url/purl-spec writes it. */
function purl(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

/** The SHA-512 in base64 of each package, by `name@version`. */
async function lockedChecksums(): Promise<ReadonlyMap<string, string>> {
  const lock = Bun.JSON5.parse(await Bun.file(`${root}bun.lock`).text())
  const found = new Map<string, string>()
  if (typeof lock !== 'object' || lock === null || !('packages' in lock))
    throw new Error('bun.lock has no packages')
  for (const entry of Object.values(lock.packages ?? {})) {
    if (!Array.isArray(entry)) continue
    const [name, checksum] = [entry[0], entry.at(-1)]
    if (typeof name !== 'string' || typeof checksum !== 'string') continue
    const [, sum] = /^sha512-(.+)$/.exec(checksum) ?? []
    if (sum !== undefined) found.set(name, sum)
  }
  return found
}

/** A UUID (version 8, RFC 9562) that is always the same for the text. */
function uuidOf(text: string): string {
  const hex = new Bun.CryptoHasher('sha256').update(text).digest('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`]
  return [...parts, hex.slice(20, 32)].join('-')
}
