import { settingsReference } from '../src/config/describe.ts'

/** Writes the pages that are generated from the code. With `--check` it only says whether they are current. */

const page = new URL('../docs/configuration.md', import.meta.url)
const current = await Bun.file(page)
  .text()
  .catch(() => '')
const wanted = settingsReference()

if (!process.argv.includes('--check')) {
  await Bun.write(page, wanted)
} else if (current !== wanted) {
  console.error('docs/configuration.md is not current: run bun scripts/docs.ts')
  process.exitCode = 1
}
