import { mkdirSync } from 'node:fs'

/**
 * Makes the page of the console: one file with its script and its sheet inside, and the policy that allows exactly those
 * two by their hashes. The executable carries both as text.
 *
 *     bun scripts/console.ts
 */

const folder = new URL('../dist/console/', import.meta.url).pathname
const source = new URL('../src/admin/page/main.tsx', import.meta.url).pathname

const script = (await built(source)).replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--').trim()
const sheet = (await built(new URL('../src/admin/page/console.css', import.meta.url).pathname)).trim()
const template = await Bun.file(new URL('../src/admin/page/page.html', import.meta.url)).text()
// A function, because the text of a replacement may hold `$`.
const html = template
  .replaceAll(/>\n\s+</g, '><')
  .replace('/* the sheet */', () => sheet)
  .replace('/* the script */', () => script)

const policy = [
  "default-src 'none'",
  `script-src '${hashOf(script)}'`,
  `style-src '${hashOf(sheet)}'`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

mkdirSync(folder, { recursive: true })
await Bun.write(`${folder}page.txt`, html)
await Bun.write(`${folder}policy.txt`, policy)

async function built(entrypoint: string): Promise<string> {
  const result = await Bun.build({ entrypoints: [entrypoint], target: 'browser', minify: true, throw: true })
  const [output] = result.outputs
  if (output === undefined) throw new Error(`nothing was built of ${entrypoint}`)
  return await output.text()
}

function hashOf(text: string): string {
  return `sha256-${Bun.SHA256.hash(text, 'base64')}`
}
