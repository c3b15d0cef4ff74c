import { regexpRefusal } from './automaton.ts'
import {
  alphabet,
  type CharacterSet,
  characterSet,
  choice,
  type Expression,
  one,
  place,
  repeat,
  sequence,
  text,
} from './expression.ts'

/**
 * Reads a regexp group, in the syntax of ECMAScript with the `v` flag. The native implementation has checked the
 * syntax before. Throws `invalid-matcher` for constructs that no linear engine can do: look-around and back-references
 * (MAT-35).
 */
export function readGroup(source: string): Expression {
  return new GroupReader(source).read()
}

/** The inside of two parentheses: the choices that are complete, and the one that the reader is at. */
interface Level {
  readonly choices: Expression[]
  items: Expression[]
  readonly ignoreCase: boolean
}

const opening = /\((?:\?(?:([ims]*)(?:-([ims]*))?:|<[^=!>][^>]*>))?/y
// Whether the whole text matches does not depend on how greedy a repeat is.
const repeats = /(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/y
const surrogates = /\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}/.source
const escaped = new RegExp(`${surrogates}|\\\\(?:u\\{[^}]*\\}|u.{4}|x..|c.|[pP]\\{[^}]*\\}|.)`, 'y')

class GroupReader {
  readonly #source: string
  readonly #sets = new Map<string, CharacterSet>()
  readonly #outer: Level[] = []
  #level: Level = { choices: [], items: [], ignoreCase: false }
  #at = 0

  constructor(source: string) {
    this.#source = source
  }

  read(): Expression {
    while (this.#at < this.#source.length) this.#step(this.#source.charAt(this.#at))
    return endOf(this.#level)
  }

  #step(char: string): void {
    if (char === '(') this.#open()
    else if (char === ')') this.#close()
    else if (char === '|') this.#choose()
    else if ('*+?{'.includes(char)) this.#repeat()
    else if (char === '^') this.#append(char, place('start'))
    else if (char === '$') this.#append(char, place('end'))
    else if (char === '[') this.#appendSet(this.#source.slice(this.#at, classEnd(this.#source, this.#at)))
    else if (char === '\\') this.#escape(this.#take(escaped)?.[0] ?? char)
    else this.#appendSet(char)
  }

  #append(source: string, expression: Expression): void {
    this.#at += source.length
    this.#level.items.push(expression)
  }

  #open(): void {
    const match = this.#take(opening)
    // The native implementation refuses groups that capture by number.
    if (match === null || match[0] === '(') throw regexpRefusal('looks around')
    const [source, on = '', off = ''] = match
    this.#at += source.length
    this.#outer.push(this.#level)
    const ignoreCase = (this.#level.ignoreCase || on.includes('i')) && !off.includes('i')
    this.#level = { choices: [], items: [], ignoreCase }
  }

  #close(): void {
    const outer = this.#outer.pop()
    if (outer === undefined) throw new Error('a regexp group of a URL pattern is not balanced')
    const group = endOf(this.#level)
    this.#level = outer
    this.#append(')', group)
  }

  #choose(): void {
    this.#level.choices.push(sequence(this.#level.items))
    this.#level.items = []
    this.#at++
  }

  #repeat(): void {
    const match = this.#take(repeats)
    const last = this.#level.items.pop()
    if (match === null || last === undefined)
      throw new Error('a regexp group of a URL pattern has a stray brace')
    const [source, sign, least, comma, most] = match
    this.#append(source, sign === undefined ? counted(last, Number(least), comma, most) : signed(last, sign))
  }

  #escape(source: string): void {
    if (source === '\\b') this.#append(source, place('word-edge'))
    else if (source === '\\B') this.#append(source, place('no-word-edge'))
    else if (/^\\[1-9k]/.test(source)) throw regexpRefusal('refers back')
    else this.#appendSet(source)
  }

  /** One character or a class of them. */
  #appendSet(source: string): void {
    const { ignoreCase } = this.#level
    const isText = source.length === 1 && source !== '.' && !ignoreCase
    this.#append(source, isText ? text(source) : one(this.#set(source, ignoreCase)))
  }

  #set(source: string, ignoreCase: boolean): CharacterSet {
    const key = `${ignoreCase}${source}`
    const set = this.#sets.get(key) ?? characterClass(source, ignoreCase)
    this.#sets.set(key, set)
    return set
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#source)
  }
}

function endOf({ choices, items }: Level): Expression {
  return choice([...choices, sequence(items)])
}

function signed(last: Expression, sign: string): Expression {
  return repeat(last, sign === '+' ? 1 : 0, sign === '?' ? 1 : Number.POSITIVE_INFINITY)
}

function counted(
  last: Expression,
  least: number,
  comma: string | undefined,
  most: string | undefined,
): Expression {
  if (comma === undefined) return repeat(last, least, least)
  return repeat(last, least, most === '' ? Number.POSITIVE_INFINITY : Number(most))
}

/** The end of a class. With the `v` flag classes nest. */
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

/**
 * The native engine says which characters are in the class: one character cannot make it backtrack. So sets,
 * properties, case folding and escapes have exactly the native meaning.
 */
function characterClass(source: string, ignoreCase: boolean): CharacterSet {
  if (/^(?:[^\\]|\\[^q])*\\q/.test(source)) throw regexpRefusal('has a class of strings')
  return characterSet((alphabet.match(new RegExp(source, ignoreCase ? 'giv' : 'gv')) ?? []).join(''))
}
