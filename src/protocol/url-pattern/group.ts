import { type LinearSource, quote, regexpRefusal } from './regexp.ts'

/**
 * Translates a regexp group from the syntax of ECMAScript, with the `v` flag, to that of RE2. The native
 * implementation has checked the syntax before. Throws `invalid-matcher` for what no linear engine can do:
 * look-around and back-references (MAT-35).
 */
export function translateGroup(source: string): LinearSource {
  return new GroupTranslator(source).translate()
}

/** Something that a repeat can follow: how it is written here and there. */
interface Atom extends LinearSource {
  readonly source: string
}

/** What is between two parentheses: the weight so far, without and of the last atom. */
interface Level {
  weight: number
  last: number
  readonly ignoreCase: boolean
}

const opening = /\((?:\?(?:([ims]*)(?:-([ims]*))?:|<[^=!>][^>]*>))?/y
const counted = /[*+?]|\{(\d+)(?:,(\d*))?\}/y
const surrogates = /\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}/.source
const escaped = new RegExp(`${surrogates}|\\\\(?:u\\{[^}]*\\}|u.{4}|x..|c.|[pP]\\{[^}]*\\}|.)`, 'y')

class GroupTranslator {
  readonly #source: string
  readonly #classes = new Map<string, string>()
  readonly #outer: Level[] = []
  #level: Level = { weight: 0, last: 0, ignoreCase: false }
  #at = 0
  #text = ''

  constructor(source: string) {
    this.#source = source
  }

  translate(): LinearSource {
    while (this.#at < this.#source.length) this.#step(this.#source.charAt(this.#at))
    return { text: `(?:${this.#text})`, weight: this.#level.weight + this.#level.last }
  }

  #step(char: string): void {
    if (char === '(') this.#open()
    else if (char === ')') this.#close()
    else if ('*+?{'.includes(char)) this.#repeat()
    else this.#append(this.#atom(char))
  }

  #append({ source, text, weight }: Atom): void {
    this.#at += source.length
    this.#text += text
    this.#level.weight += this.#level.last
    this.#level.last = weight
  }

  #open(): void {
    const match = this.#match(opening)
    // The native implementation refuses groups that capture by number.
    if (match === null || match[0] === '(') throw regexpRefusal('looks around')
    const [source, on = '', off = ''] = match
    this.#append({ source, text: '(?:', weight: 1 })
    this.#outer.push(this.#level)
    const ignoreCase = (this.#level.ignoreCase || on.includes('i')) && !off.includes('i')
    this.#level = { weight: 1, last: 0, ignoreCase }
  }

  #close(): void {
    const { weight, last } = this.#level
    const outer = this.#outer.pop()
    if (outer === undefined) throw new Error('a regexp group of a URL pattern is not balanced')
    this.#level = outer
    this.#level.last = weight + last
    this.#text += ')'
    this.#at++
  }

  #repeat(): void {
    const match = this.#match(counted)
    if (match === null) throw new Error('a regexp group of a URL pattern has a stray brace')
    const [source, least, most] = match
    this.#level.last *= timesWritten(least, most)
    this.#text += source
    this.#at += source.length
  }

  #atom(char: string): Atom {
    switch (char) {
      case '|':
        return { source: char, text: char, weight: 1 }
      case '^':
        return { source: char, text: '\\A', weight: 1 }
      case '$':
        return { source: char, text: '\\z', weight: 1 }
      case '[':
        return this.#characters(this.#source.slice(this.#at, classEnd(this.#source, this.#at)))
      case '\\':
        return this.#escape(this.#match(escaped)?.[0] ?? char)
      default:
        return this.#characters(char)
    }
  }

  #escape(source: string): Atom {
    if (source === '\\b' || source === '\\B') return { source, text: source, weight: 1 }
    if (/^\\[1-9k]/.test(source)) throw regexpRefusal('refers back')
    return this.#characters(source)
  }

  /** One character or a class of them. */
  #characters(source: string): Atom {
    const { ignoreCase } = this.#level
    const key = `${ignoreCase}${source}`
    const text = this.#classes.get(key) ?? characterClass(source, ignoreCase)
    this.#classes.set(key, text)
    return { source, text, weight: 1 }
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#source)
  }
}

/** `{2,}` is written out as two and a loop, `*` as a loop. */
function timesWritten(least: string | undefined, most: string | undefined): number {
  if (least === undefined) return 1
  const times = most === undefined ? Number(least) : most === '' ? Number(least) + 1 : Number(most)
  return Math.max(1, times)
}

/** Where a class ends. With the `v` flag classes nest. */
function classEnd(source: string, start: number): number {
  let depth = 0
  for (let at = start; at < source.length; at++) {
    const char = source[at]
    if (char === '\\') at++
    else if (char === '[') depth++
    else if (char === ']' && --depth === 0) return at + 1
  }
  return source.length
}

// Every component of a canonical URL consists of these alone: the rest is percent-encoded or Punycode.
const alphabet = String.fromCharCode(...Array.from({ length: 0x7f - 0x20 }, (_, index) => 0x20 + index))

/**
 * The native engine says which characters are in the class: one character cannot make it backtrack. So sets,
 * properties, case folding and escapes mean exactly what they mean there.
 */
function characterClass(source: string, ignoreCase: boolean): string {
  if (source.length === 1 && source !== '.' && !ignoreCase) return quote(source).text
  if (/^(?:[^\\]|\\[^q])*\\q/.test(source)) throw regexpRefusal('has a class of strings')
  const inside = alphabet.match(new RegExp(source, ignoreCase ? 'giv' : 'gv')) ?? []
  if (inside.length === alphabet.length) return '.'
  return inside.length === 0 ? '[^\\x{0}-\\x{10ffff}]' : `[${inside.map(hex).join('')}]`
}

function hex(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16)}`
}
