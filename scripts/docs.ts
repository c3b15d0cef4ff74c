import { generatedPages } from './docs/pages.ts'

/** Writes the pages that are generated from the code. With `--check` it only says whether they are current. */

for (const [name, wanted] of Object.entries(await generatedPages())) {
  const page = new URL(`../docs/${name}`, import.meta.url)
  const current = await Bun.file(page)
    .text()
    .catch(() => '')
  if (!process.argv.includes('--check')) {
    await Bun.write(page, wanted)
  } else if (current !== wanted) {
    console.error(`docs/${name} is not current: run bun scripts/docs.ts`)
    process.exitCode = 1
  }
}
