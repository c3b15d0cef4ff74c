/**
 * Text that somebody else wrote, on its way to a terminal. A terminal obeys control characters, of which those from
 * U+0080 to U+009F are as good as an escape, and shows text after a bidirectional override in another order.
 */

/** The text with `\u001b` and the like in place of characters that a terminal would obey; tabs and line breaks stay. */
export function printable(text: string): string {
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, escaped)
}

/** The value as JSON on one line, which says the same to every reader and is harmless on a terminal. */
export function printableJson(value: unknown): string {
  return printable(JSON.stringify(value))
}

/** The first line of the text, cut after `lengthMax` characters, without blanks around it. */
export function firstLine(text: string, lengthMax: number): string {
  const [line = ''] = text.trimStart().split(/[\r\n]/, 1)
  const shown = printable(line).trim()
  return shown.length > lengthMax ? `${shown.slice(0, lengthMax)}…` : shown
}

/** A word that the user has typed, for a message about it. */
export function quoted(word: string): string {
  return printable(JSON.stringify(word.length > QUOTED_MAX ? `${word.slice(0, QUOTED_MAX)}…` : word))
}

/** A misspelled name of a command, quoted. A longer or less plain word may be a token: `otherwise` stands for it. */
export function quotedName(word: string, otherwise: string): string {
  return /^[\w-]{1,20}$/.test(word) ? quoted(word) : otherwise
}

const QUOTED_MAX = 80

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
