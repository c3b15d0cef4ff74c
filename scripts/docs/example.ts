import { sectionOf } from '../../src/config/describe.ts'
import { type Name, names } from '../../src/config/names.ts'

/** Values of a hub behind a proxy of its machine. Every other setting is in the example as a comment. */
const chosen: Readonly<Record<string, string>> = {
  listen: '["127.0.0.1:3000"]',
  'hub.public_urls': '["https://hub.example.com"]',
  'hub.cors_origins': '["https://www.example.com"]',
  'sqlite.path': '"/var/lib/cinnabar/cinnabar.db"',
  'proxy.trusted': '["127.0.0.1"]',
  'proxy.fields': '"x-forwarded"',
}

/** Values of settings that have none by default, for their comments. */
const samples: Readonly<Record<string, string>> = {
  'tls.cert_file': '"/etc/cinnabar/hub.crt"',
  'tls.key_file': '"/etc/cinnabar/hub.key"',
  'hub.resource_identifier': '"https://hub.example.com/.well-known/mercure"',
  'hub.legacy_issuer': '"https://www.example.com"',
  'hub.cors_headers': '["x-request-id"]',
  'hub.publish_origins': '["https://www.example.com"]',
  'redis.url': '"redis://127.0.0.1:6379"',
}

const repeated: Readonly<Record<string, string>> = {
  issuers: `# Who makes tokens: the application that knows the users. The table may be there several times.
[[issuers]]
# The \`iss\` of its tokens.
id = "https://www.example.com"
publisher = { key_file = "/etc/cinnabar/publisher.key", algorithm = "HS256" }
subscriber = { key_file = "/etc/cinnabar/subscriber.key", algorithm = "HS256" }
# With an authorization server, instead of the line above:
# subscriber = { jwks_uri = "https://auth.example.com/jwks", algorithms = ["ES256"] }
`,
  'history.rules': `# Topics with limits of their own, here the latest value of each sensor. The table may be there several times.
[[history.rules]]
match = "https://example.com/sensors/:id"
match_type = "urlpattern"
max_count = 1
per_topic = true
`,
}

/** A whole configuration in TOML, with the meaning of every setting. */
export function exampleFile(): string {
  const groups = Map.groupBy(names, sectionOf)
  const top = groups.get('') ?? []
  const parts = [top.map(lines).join('\n')]
  for (const [section, entries] of groups) {
    if (section === '') continue
    const inside = entries.filter(({ key, takes }) => takes === 'value' && !key.includes('[]'))
    if (inside.length > 0) parts.push(`[${section}]\n${inside.map(lines).join('\n')}`)
    for (const table of entries.filter(({ takes }) => takes === 'tables'))
      parts.push(repeated[table.key] ?? missing(table.key))
  }
  return parts.join('\n')
}

/** A setting with its meaning above it; a secret is not written into such a file. */
function lines({ key, meaning }: Name): string {
  const name = key.replace(/.*\./, '')
  const value = chosen[key]
  const text = `# ${meaning.help.replaceAll('`', '')}${meaning.form.startsWith('`') ? `: ${meaning.form.replaceAll('`', '')}` : ''}\n`
  if (value !== undefined) return `${text}${name} = ${value}\n`
  return `${text}# ${name} = ${samples[key] ?? written(meaning)}\n`
}

function written({ fallback, isList }: Name['meaning']): string {
  if (isList) return fallback === null || fallback === '' ? '[]' : `["${fallback}"]`
  return /^(?:\d+|true|false)$/.test(fallback ?? '') ? `${fallback}` : `"${fallback ?? ''}"`
}

function missing(key: string): never {
  throw new Error(`the example has no table ${key}`)
}
