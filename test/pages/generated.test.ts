import { expect, test } from 'bun:test'
import { generatedPages } from '../../scripts/docs/pages.ts'
import { names } from '../../src/config/names.ts'

const pages = await generatedPages()

for (const [name, wanted] of Object.entries(pages)) {
  test(`docs/${name} is current`, async () => {
    expect(await Bun.file(new URL(`../../docs/${name}`, import.meta.url)).text()).toBe(wanted)
  })
}

test('every setting that is no member of a repeated table is in the full example, with its meaning', () => {
  const example = pages['configuration.md']?.split('## A full example')[1] ?? ''
  const wanted = names.filter(({ key, takes }) => takes === 'value' && !key.includes('[]'))
  expect(wanted.length).toBeGreaterThan(50)
  for (const { key, meaning } of wanted) {
    expect(example).toMatch(new RegExp(`^(?:# )?${key.replace(/.*\./, '')} = .`, 'm'))
    expect(example).toContain(`# ${meaning.help.replaceAll('`', '')}`)
  }
})
