import { INNER_BREAK } from './environment.ts'

/** The words of a Caddyfile (Caddy documentation, "Caddyfile Concepts"). */

/** One word, with the line that it begins in, counted from 1. */
export interface Token {
  readonly text: string
  readonly line: number
  /** Whether it stands in quotes, so that a brace is a text and no block. */
  readonly isQuoted: boolean
}

/** A text that is no Caddyfile. The message names the line and quotes nothing, since anything may be a key. */
export class CaddyfileError extends Error {
  override readonly name = 'CaddyfileError'

  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`)
  }
}

/** Takes the text apart, one list of words for each line that has any. Throws CaddyfileError. */
export function tokenLines(text: string): readonly (readonly Token[])[] {
  return new Lexer(text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n')).read()
}

class Lexer {
  readonly #text: string
  #at = 0
  #line = 1
  #lines: Token[][] = []
  #current: Token[] = []

  constructor(text: string) {
    this.#text = text
  }

  read(): readonly (readonly Token[])[] {
    while (this.#at < this.#text.length) this.#step()
    this.#endLine()
    return this.#lines
  }

  #step(): void {
    const character = this.#text[this.#at] ?? ''
    if (character === '\n') this.#newLine()
    else if (character === INNER_BREAK) this.#innerBreak()
    else if (/\s/.test(character)) this.#at++
    else if (character === '#') this.#at = this.#lineEnd()
    else if (this.#text.startsWith('\\\n', this.#at)) {
      // A backslash at the end of a line joins it with the next one.
      this.#at += 2
      this.#line++
    } else if (character === '"' || character === '`') this.#quoted(character)
    else if (/^<<[A-Za-z0-9_-]+$/.test(this.#word())) this.#heredoc()
    else this.#bare()
  }

  #newLine(): void {
    this.#at++
    this.#line++
    this.#endLine()
  }

  #innerBreak(): void {
    this.#at++
    this.#endLine()
  }

  #endLine(): void {
    if (this.#current.length > 0) this.#lines.push(this.#current)
    this.#current = []
  }

  #lineEnd(): number {
    return this.#find(/[\n\v]/g)
  }

  /** The characters up to the next white space. */
  #word(): string {
    return this.#text.slice(this.#at, this.#find(/\s/g))
  }

  /** Where the expression matches next, or the end of the text. */
  #find(expression: RegExp): number {
    expression.lastIndex = this.#at
    return expression.exec(this.#text)?.index ?? this.#text.length
  }

  #bare(): void {
    const text = this.#word()
    const joined = text.endsWith('\\') && this.#text[this.#at + text.length] === '\n'
    this.#at += joined ? text.length - 1 : text.length
    this.#add(joined ? text.slice(0, -1) : text, this.#line, false)
  }

  /** Between double quotes a backslash takes the quote behind it; between backquotes nothing is special. */
  #quoted(quote: '"' | '`'): void {
    const line = this.#line
    let text = ''
    for (this.#at++; this.#text[this.#at] !== quote; this.#at++) {
      if (this.#at >= this.#text.length) throw new CaddyfileError(line, 'a quote is not closed')
      if (quote === '"' && this.#text[this.#at] === '\\') {
        // Only a double quote is taken by its backslash. Before anything else, another backslash too, both stay.
        this.#at++
        if (this.#text[this.#at] !== '"') text += '\\'
        if (this.#at >= this.#text.length) throw new CaddyfileError(line, 'a quote is not closed')
      }
      if (this.#text[this.#at] === '\n') this.#line++
      text += this.#text[this.#at] === INNER_BREAK ? '\n' : this.#text[this.#at]
    }
    this.#at++
    this.#add(text, line, true)
  }

  /** The lines up to the one that has the marker alone, without the white space that stands before that. */
  #heredoc(): void {
    const line = this.#line
    const marker = this.#word().slice(2)
    if (this.#text.slice(this.#at + marker.length + 2, this.#lineEnd()).trim() !== '')
      throw new CaddyfileError(line, 'more follows the marker of a heredoc')
    const rest = this.#text.slice(this.#lineEnd() + 1)
    const end = new RegExp(`^([ \\t]*)${marker}(?=\\s|$)`, 'm').exec(rest)
    if (end === null) throw new CaddyfileError(line, 'a heredoc is not closed')
    const indent = end[1] ?? ''
    const lines = rest.slice(0, end.index).split('\n').slice(0, -1)
    this.#at = this.#lineEnd() + 1 + end.index + end[0].length
    this.#line += lines.length + 1
    if (lines.some((one) => one.trim() !== '' && !one.startsWith(indent)))
      throw new CaddyfileError(line, 'the lines of a heredoc do not begin as its end does')
    this.#add(lines.map((one) => one.slice(indent.length)).join('\n'), line, true)
  }

  #add(text: string, line: number, isQuoted: boolean): void {
    this.#current.push({ text, line, isQuoted })
  }
}
