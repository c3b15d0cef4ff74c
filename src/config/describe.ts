import { type Name, names } from './names.ts'

/** The settings for people: in the help and in the reference page. */

/** Every setting as a flag, for `--help`; columns are aligned. */
export function settingsHelp(): string {
  const rows = names.map(
    (name) => [`  ${flagOf(name)}`, `${plain(name.meaning.help)}${defaultOf(name)}`] as const,
  )
  const width = Math.max(...rows.map(([flag]) => flag.length))
  return rows.map(([flag, help]) => `${flag.padEnd(width)}  ${help}`).join('\n')
}

/** The reference page of the settings, in Markdown. */
export function settingsReference(): string {
  const groups = Map.groupBy(names, sectionOf)
  const tables = [...groups].map(([section, entries]) => {
    return `## ${section === '' ? 'At the top' : `\`${section}\``}\n\n${table(entries)}`
  })
  return `${introduction}\n${tables.join('\n')}`
}

const introduction = `# Configuration

Every setting has one name. \`history.max_age\` in the TOML file is the flag \`--history-max-age\` and the
environment name \`CINNABAR_HISTORY_MAX_AGE\`. A flag wins over the environment, the environment over the file,
the file over the default. An unknown name is an error. \`cinnabar check\` finds every problem at once;
\`cinnabar config\` shows what is in effect, and why.

The file is named by \`--config FILE\` or \`CINNABAR_CONFIG\`. When neither is given, every command reads
\`cinnabar.toml\` in the working folder, else \`/etc/cinnabar/cinnabar.toml\`, when it is there; the log of the hub
says which. An empty name, \`--config ''\`, reads no file.

- **Durations**: \`250ms\`, \`20s\`, \`10m\`, \`24h\`, \`7d\`. **Sizes**: \`64KiB\`, \`256MiB\`, \`1GiB\`, or a number of
  bytes. \`0\` means unlimited only where the meaning says so.
- **Lists**: an array in the file; a repeated flag; text with commas, or a JSON array.
- **Booleans** as flags: \`--hub-anonymous\`, \`--no-hub-anonymous\`, \`--hub-anonymous=true\`.
- **Secrets** have a second name with \`_file\` at its end: the secret is read from that file, without the line
  break at its end.
- **Tables that repeat**: \`[[issuers]]\` and \`[[history.rules]]\` in the file. As flags and in the environment
  they are one JSON array, or single members by number, from 0: \`--issuers-0-id\`, \`CINNABAR_ISSUERS_0_ID\`.
- **Reload**: on SIGHUP a running hub reads all places again and cuts no stream. A setting marked *restart* keeps its
  value until the next start; so does a change that turns TLS on or off, and one of \`hub.public_urls\` or
  \`hub.resource_identifier\` that would change the URL which relative topics are resolved against. Each is logged.

This page is generated from the schema by \`scripts/docs.ts\`.
`

function table(entries: readonly Name[]): string {
  const rows = entries.map((name) => {
    const fallback =
      name.meaning.fallback === null || name.takes === 'file' ? '' : `\`${name.meaning.fallback}\``
    const cells = [
      `\`${name.key}\``,
      fallback === '``' ? '' : fallback,
      `\`--${name.flag}\``,
      `\`${name.env}\``,
      name.meaning.restart ? 'restart' : '',
    ]
    return `| ${[...cells, meaningOf(name)].join(' | ')} |`
  })
  const head = '| setting | default | flag | environment | reload | meaning |\n|---|---|---|---|---|---|'
  return `${head}\n${rows.join('\n')}\n`
}

function meaningOf({ takes, meaning }: Name): string {
  if (takes === 'file') return 'the file that holds it'
  return `${meaning.help}${meaning.form.includes('`') && !meaning.isList ? ` (${meaning.form})` : ''}`.replaceAll(
    '|',
    '\\|',
  )
}

/** The part of the file that the setting stands in; empty: at the top. */
export function sectionOf({ key, takes }: Name): string {
  return key.includes('.') || takes === 'tables' ? key.replace(/[.[].*/, '') : ''
}

/** The setting as a flag with its value: `--history-max-age DURATION`. */
export function flagOf({ flag, takes, meaning }: Name): string {
  if (meaning.form === 'boolean') return `--${meaning.fallback === 'true' ? 'no-' : ''}${flag}`
  return `--${flag} ${takes === 'file' ? 'FILE' : meaning.isList ? 'LIST' : word(meaning.form)}`
}

function word(form: string): string {
  const words = plain(form).split(', ').join('|')
  if (form.startsWith('`')) return words.length > 40 ? 'NAME' : words
  return (form.split(' ')[0] ?? '').toUpperCase()
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '')
}

function defaultOf({ takes, meaning }: Name): string {
  const isShown = takes === 'value' && meaning.fallback !== null && meaning.fallback !== ''
  return isShown ? ` [${meaning.fallback}]` : ''
}
