import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { slugOf } from './slug.ts'

/**
 * Gathers the pages of the website in site/pages: README as the first one, docs/, the texts at the top, and a page for
 * each folder of files that people copy. Links between them are rewritten; one that leads nowhere ends it with 1.
 */

const root = new URL('../../', import.meta.url).pathname
const target = join(root, 'site/pages')

/** Texts at the top of the checkout, and the pages that they become. */
const texts: Readonly<Record<string, string>> = {
  'README.md': 'index.md',
  'ARCHITECTURE.md': 'architecture.md',
  'CONTRIBUTING.md': 'contributing.md',
  'SECURITY.md': 'security.md',
  'CHANGELOG.md': 'changes.md',
}

/** A folder of files that becomes one page, with the texts of the files, or with links to them. */
interface Folder {
  readonly page: string
  readonly title: string
  readonly isData?: true
}

const folders: Readonly<Record<string, Folder>> = {
  deploy: { page: 'deploy.md', title: 'Files for proxies, Compose and Kubernetes' },
  'docs/monitoring': { page: 'monitoring.md', title: 'Monitoring: a dashboard and alert rules' },
  'docs/bench': { page: 'figures.md', title: 'The figures of measurements', isData: true },
}

const languages: Readonly<Record<string, string>> = {
  yml: 'yaml',
  yaml: 'yaml',
  toml: 'toml',
  json: 'json',
  conf: 'nginx',
}

const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
const pages = new Map(Object.entries(texts))
for (const name of docs) pages.set(`docs/${name}`, name)

const lost: string[] = []
rmSync(target, { recursive: true, force: true })
mkdirSync(join(target, 'public'), { recursive: true })
for (const [source, page] of pages) {
  await Bun.write(join(target, page), linked(await Bun.file(join(root, source)).text(), source))
}
for (const [folder, about] of Object.entries(folders)) {
  await Bun.write(join(target, about.page), await listing(folder, about))
}
if (lost.length > 0) {
  console.error(lost.join('\n'))
  process.exitCode = 1
}

/** The text with its links as they are between the pages of the site. Code stays as it is. */
function linked(text: string, source: string): string {
  const pieces = /(^ *```[\s\S]*?^ *```$|`[^`\n]+`)|(\]\()([^)\s]+)(\))/gm
  return text.replaceAll(pieces, (whole, code?: string, open?: string, link?: string, close?: string) =>
    code === undefined && link !== undefined ? `${open}${destination(link, source)}${close}` : whole,
  )
}

/** The destination of a link in the file `source`. */
function destination(link: string, source: string): string {
  if (/^[a-z]+:|^#/.test(link)) return link
  const [path = '', anchor] = link.split('#')
  const place = normalize(join(dirname(source), path)).replace(/\/$/, '')
  const page = pages.get(place)
  if (page !== undefined) return anchor === undefined ? page : `${page}#${anchor}`
  const isIn = ([each, { isData }]: readonly [string, Folder]) =>
    place === each || (isData !== true && place.startsWith(`${each}/`))
  const [folder] = Object.entries(folders).find(isIn) ?? []
  if (folder !== undefined && existsSync(join(root, place))) {
    const inside = relative(folder, place)
    return `${folders[folder]?.page}${inside === '' ? '' : `#${slugOf(inside)}`}`
  }
  if (!existsSync(join(root, place)) || statSync(join(root, place)).isDirectory()) {
    lost.push(`${source}: ${link} leads nowhere`)
    return link
  }
  return shipped(place)
}

/** Puts a file that is no page on the site as it is, such as a picture or the licence. */
function shipped(place: string): string {
  const name = /\.(?:svg|png|csv|json)$/.test(place) ? place : `${place}.txt`
  cpSync(join(root, place), join(target, 'public', name))
  return `/${name}`
}

/** A page with the files of a folder, under the names of the folders and files in it. */
async function listing(folder: string, { title, isData }: Folder): Promise<string> {
  const found = [...new Bun.Glob('**/*').scanSync(join(root, folder))].toSorted()
  if (isData === true) {
    const links = found.map((name) => `- [${name}](${shipped(`${folder}/${name}`)}){target="_self"}`)
    return `# ${title}\n\n${links.join('\n')}\n`
  }
  const sections = await Promise.all(
    found.map(async (name) => {
      const language = languages[name.replace(/.*\./, '')] ?? 'text'
      const text = (await Bun.file(join(root, folder, name)).text()).trimEnd()
      return `### ${name}\n\n\`\`\`${language}\n${text}\n\`\`\`\n`
    }),
  )
  const parts = Map.groupBy(found.keys(), (at) => found[at]?.split('/').at(-2) ?? '')
  const body = [...parts].map(([part, positions]) => {
    const head = part === '' ? '' : `## ${part}\n\n`
    return `${head}${positions.map((at) => sections[at]).join('\n')}`
  })
  return `# ${title}\n\nThese are the files of \`${folder}\` in the checkout.\n\n${body.join('\n')}`
}
