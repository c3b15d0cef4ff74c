import { CaddyfileError, type Token, tokenLines } from './tokens.ts'

/** A line of a Caddyfile with what is in its braces: a site, a directive, an option. */
export interface Directive {
  readonly name: string
  readonly args: readonly string[]
  readonly line: number
  /** The lines in its braces; null without braces. */
  readonly block: readonly Directive[] | null
}

/** The blocks of a Caddyfile, with its snippets put in where they are imported. Throws CaddyfileError. */
export function parseBlocks(text: string): readonly Directive[] {
  const top = withoutSingleSite(new Parser(joinedAddresses(tokenLines(text))).read())
  const isSnippet = ({ name, args }: Directive) => /^\(.+\)$/.test(name) && args.length === 0
  const snippets = new Map<string, readonly Directive[]>()
  for (const { name, block, line } of top.filter(isSnippet)) {
    if (snippets.has(name)) throw new CaddyfileError(line, 'a snippet has the name of another')
    snippets.set(name, block ?? [])
  }
  return new Imports(snippets).putInto(top.filter((one) => !isSnippet(one)))
}

/** The lines of a block alone, without the braces around it. Throws CaddyfileError. */
export function parseLines(text: string): readonly Directive[] {
  return new Parser(tokenLines(text)).read()
}

/** The addresses of a site may stand on lines of their own, where each but the last ends with a comma. */
function joinedAddresses(lines: readonly (readonly Token[])[]): readonly (readonly Token[])[] {
  const joined: (readonly Token[])[] = []
  for (const words of lines) {
    const before = joined.at(-1) ?? []
    const isOpen = before.length > 0 && before.every(({ text }) => text.endsWith(','))
    if (isOpen) joined[joined.length - 1] = [...before, ...words]
    else joined.push(words)
  }
  return joined
}

class Parser {
  readonly #lines: readonly (readonly Token[])[]
  #at = 0

  constructor(lines: readonly (readonly Token[])[]) {
    this.#lines = lines
  }

  read(): readonly Directive[] {
    return this.#block(null, 0)
  }

  /** Reads lines until the brace that closes the block which `opened` in that line; null: until the end. */
  #block(opened: number | null, depth: number): readonly Directive[] {
    const directives: Directive[] = []
    for (let words = this.#lines[this.#at]; words !== undefined; words = this.#lines[this.#at]) {
      const [first] = words
      if (first === undefined) break
      if (isBrace(first, '}')) {
        if (opened === null) throw new CaddyfileError(first.line, 'a brace closes nothing')
        if (words.length > 1) throw new CaddyfileError(first.line, 'more follows a closing brace')
        this.#at++
        return directives
      }
      directives.push(this.#directive(words, first, depth))
    }
    if (opened !== null) throw new CaddyfileError(opened, 'a brace is not closed')
    return directives
  }

  #directive(words: readonly Token[], first: Token, depth: number): Directive {
    if (depth > DEPTH_MAX) throw new CaddyfileError(first.line, 'there are too many blocks in each other')
    this.#at++
    const last = words.at(-1) ?? first
    const opens = isBrace(last, '{')
    const [name, ...args] = (opens ? words.slice(0, -1) : words).map(({ text }) => text)
    const stray = words.slice(0, -1).find((word) => isBrace(word, '{') || isBrace(word, '}'))
    if (stray !== undefined) throw new CaddyfileError(stray.line, 'a brace stands within a line')
    const block = opens ? this.#block(first.line, depth + 1) : null
    return { name: name ?? '', args, line: first.line, block }
  }
}

const DEPTH_MAX = 50

function isBrace({ text, isQuoted }: Token, brace: '{' | '}'): boolean {
  return text === brace && !isQuoted
}

/** A Caddyfile of one site may leave its braces out: the first line is then the address of the site. */
function withoutSingleSite(parsed: readonly Directive[]): readonly Directive[] {
  const isAround = ({ name, block }: Directive) => block !== null && (name === '' || name.startsWith('('))
  const at = parsed.findIndex((one) => one.name !== 'import' && !isAround(one))
  const first = parsed[at]
  if (first === undefined || first.block !== null) return parsed
  return [...parsed.slice(0, at), { ...first, block: parsed.slice(at + 1) }]
}

/** Puts snippets into the blocks that import them, with their arguments. An import of a file stays as it is written. */
class Imports {
  readonly #snippets: ReadonlyMap<string, readonly Directive[]>
  /** The lines that may still be put in: snippets that import each other twice would double at each step. */
  #left = LINES_MAX
  /** The characters of arguments that may still be put in, for the same reason. */
  #charactersLeft = CHARACTERS_MAX

  constructor(snippets: ReadonlyMap<string, readonly Directive[]>) {
    this.#snippets = snippets
  }

  putInto(directives: readonly Directive[], depth = 0): readonly Directive[] {
    return directives.flatMap((one) => {
      const [name, ...values] = one.args
      const snippet = one.name === 'import' ? this.#snippets.get(`(${name})`) : undefined
      if (snippet === undefined || one.block !== null) {
        return [one.block === null ? one : { ...one, block: this.putInto(one.block, depth) }]
      }
      this.#left -= snippet.length
      if (this.#left < 0 || depth > DEPTH_MAX) {
        throw new CaddyfileError(one.line, 'snippets import each other too often')
      }
      return this.putInto(this.#withValues(snippet, values), depth + 1)
    })
  }

  /** The lines of a snippet with the arguments of its import in their places (Caddy documentation, "import"). */
  #withValues(lines: readonly Directive[], values: readonly string[]): readonly Directive[] {
    if (values.length === 0) return lines
    return lines.map((one) => {
      const words = [one.name, ...one.args].flatMap((word) => this.#filled(word, values, one.line))
      const [name = '', ...args] = words
      return { ...one, name, args, block: one.block === null ? null : this.#withValues(one.block, values) }
    })
  }

  /** A word with `{args[0]}`, and `{args[:]}` as all of them. One that has no value stays, and is listed later. */
  #filled(word: string, values: readonly string[], line: number): readonly string[] {
    const [range, from, to] = /^\{args\[(\d*):(\d*)\]\}$/.exec(word) ?? []
    if (range !== undefined) {
      const all = values.slice(Number(from), to === '' ? undefined : Number(to))
      for (const value of all) this.#count(value, line)
      return all
    }
    return [
      word.replaceAll(/\{args(?:\[(\d+)\]|\.(\d+))\}/g, (place, index?: string, old?: string) => {
        const value = values[Number(index ?? old)]
        if (value === undefined) return place
        this.#count(value, line)
        return value
      }),
    ]
  }

  #count(value: string, line: number): void {
    this.#charactersLeft -= value.length
    if (this.#charactersLeft < 0) throw new CaddyfileError(line, 'snippets import each other too often')
  }
}

const LINES_MAX = 100_000
const CHARACTERS_MAX = 1024 * 1024
