/** The same publication in other languages. Texts are quoted as each language wants it, so that any can be pasted. */

export interface Publication {
  readonly address: string
  readonly topics: readonly string[]
  readonly data: string
  readonly isPrivate: boolean
  readonly type: string
  readonly id: string
}

export const languages = ['curl', 'JavaScript', 'PHP', 'Python'] as const
export type Language = (typeof languages)[number]

export function snippet(language: Language, publication: Publication): string {
  const pairs = pairsOf(publication)
  switch (language) {
    case 'curl':
      return curl(publication.address, pairs)
    case 'JavaScript':
      return javaScript(publication.address, pairs)
    case 'PHP':
      return php(publication)
    case 'Python':
      return python(publication.address, pairs)
    default:
      return language satisfies never
  }
}

export function curlPublish(
  address: string,
  topics: readonly string[],
  data: string,
  isPrivate: boolean,
): string {
  return curl(address, pairsOf({ address, topics, data, isPrivate, type: '', id: '' }))
}

type Pairs = readonly (readonly [name: string, value: string])[]

/** The form of a publication. */
export function pairsOf({ topics, data, isPrivate, type, id }: Publication): Pairs {
  return [
    ...topics.map((topic) => ['topic', topic] as const),
    ['data', data],
    ...(isPrivate ? ([['private', 'on']] as const) : []),
    ...(type === '' ? [] : ([['type', type]] as const)),
    ...(id === '' ? [] : ([['id', id]] as const)),
  ]
}

function curl(address: string, pairs: Pairs): string {
  const shell = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const fields = pairs.map(([name, value]) => `  --data-urlencode ${shell(`${name}=${value}`)}`)
  return [`curl -s ${shell(address)}`, '  -H "Authorization: Bearer $TOKEN"', ...fields].join(' \\\n')
}

function javaScript(address: string, pairs: Pairs): string {
  const fields = pairs.map((pair) => `    ${JSON.stringify(pair)},\n`).join('')
  return `await fetch(${JSON.stringify(address)}, {
  method: 'POST',
  headers: { Authorization: \`Bearer \${token}\` },
  body: new URLSearchParams([
${fields}  ]),
})`
}

function php({ topics, data, isPrivate, type, id }: Publication): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const more = [
    ...(isPrivate ? ['private: true'] : []),
    ...(id === '' ? [] : [`id: ${quote(id)}`]),
    ...(type === '' ? [] : [`type: ${quote(type)}`]),
  ]
  const list = topics.length === 1 ? quote(topics[0] ?? '') : `[${topics.map(quote).join(', ')}]`
  return `$hub->publish(new Update(\n${[list, quote(data), ...more].map((each) => `    ${each},\n`).join('')}));`
}

function python(address: string, pairs: Pairs): string {
  const fields = pairs
    .map(([name, value]) => `        (${JSON.stringify(name)}, ${JSON.stringify(value)}),\n`)
    .join('')
  return `requests.post(
    ${JSON.stringify(address)},
    headers={'Authorization': f'Bearer {token}'},
    data=[
${fields}    ],
)`
}
