import { describe, expect, test } from 'bun:test'
import manifest from '../../package.json' with { type: 'json' }
import { bundledPackages, thirdPartyLicences } from '../../scripts/release/licences.ts'
import { billOfMaterials } from '../../scripts/release/sbom.ts'

const facts = { version: '1.2.3', commit: 'c0ffee', epoch: 1_700_000_000 }
const packages = await bundledPackages()
const names = packages.map(({ name }) => name)

test('what is in the executable is known: what it imports, and nothing that only builds or tests it', () => {
  for (const name of Object.keys(manifest.dependencies)) expect(names).toContain(name)
  for (const name of Object.keys(manifest.devDependencies)) expect(names).not.toContain(name)
})

test('every package in it comes with the text of its licence, after that of the runtime', async () => {
  const text = await thirdPartyLicences(packages)
  expect(text).toStartWith('# The Bun runtime\n')
  for (const { name, version, licence, texts } of packages) {
    expect(text).toContain(`\n# ${name} ${version} (${licence})\n\n${texts[0]}`)
    expect(texts.join()).toMatch(/permission|licen[cs]e/i)
  }
})

describe('the bill of materials', async () => {
  const bill = JSON.parse(await billOfMaterials(facts, packages))

  test('has the members that CycloneDX 1.6 asks for', () => {
    expect(bill).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 })
    expect(bill.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    expect(bill.metadata.timestamp).toBe('2023-11-14T22:13:20.000Z')
    for (const { type, name } of [bill.metadata.component, ...bill.components]) {
      expect(['application', 'library', 'platform']).toContain(type)
      expect(name).toBeString()
    }
    for (const { hashes, licenses } of bill.components) {
      expect(hashes[0]).toMatchObject({ alg: 'SHA-512', content: expect.stringMatching(/^[0-9a-f]{128}$/) })
      expect(licenses).toHaveLength(1)
    }
  })

  test('lists the runtime and every package, each once, and what each stands on', () => {
    const references: string[] = bill.components.map(
      (component: { 'bom-ref': string }) => component['bom-ref'],
    )
    expect(references).toHaveLength(names.length + 1)
    expect(references).toContain(`pkg:npm/bun@${manifest.devDependencies.bun}`)
    expect(new Set(references).size).toBe(references.length)
    const known = new Set([...references, bill.metadata.component['bom-ref']])
    const edges: { ref: string; dependsOn: string[] }[] = bill.dependencies
    expect(edges.map(({ ref }) => ref).sort()).toEqual([...known].sort())
    for (const { dependsOn } of edges) for (const reference of dependsOn) expect(known).toContain(reference)
  })

  test('is the same for the same commit, and another for another one', async () => {
    expect(JSON.parse(await billOfMaterials(facts, packages))).toEqual(bill)
    const other = JSON.parse(await billOfMaterials({ ...facts, commit: 'decaf' }, packages))
    expect(other.serialNumber).not.toBe(bill.serialNumber)
  })
})
