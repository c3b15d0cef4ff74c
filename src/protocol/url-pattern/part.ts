import { ProtocolError } from '../error.ts'
import { type Token, type TokenType, tokenize } from './token.ts'

/** The number of times that a part may occur. Empty: once. */
export type Modifier = '' | '?' | '+' | '*'

/** A piece of one component: `prefix`, then what `kind` says, then `suffix`, as often as `modifier` says. */
export interface Part {
  readonly kind: 'fixed' | 'segment' | 'any' | 'regexp'
  /** The text of a `fixed` part, the source of a `regexp`; empty otherwise. */
  readonly value: string
  readonly prefix: string
  readonly suffix: string
  readonly modifier: Modifier
}

/** The rules of one component. */
export interface ComponentRules {
  /** The character at which a named group stops. Empty: it stops nowhere. */
  readonly delimiter: '' | '.' | '/'
  /** The character that belongs to the group after it, so that a modifier repeats it too. */
  readonly prefix: '' | '/'
  /** Turns fixed text into its form in a canonical URL. */
  readonly canonical: (text: string) => string
}

/**
 * Reads the pattern string of one component (URL Pattern standard, "parse a pattern string").
 * Throws `invalid-matcher`; the native implementation has accepted the pattern before, but a component that it
 * prints is not always one that it would read.
 */
export function parseParts(pattern: string, rules: ComponentRules): Part[] {
  return new PartReader(tokenize(pattern), rules).read()
}

class PartReader {
  readonly #tokens: readonly Token[]
  readonly #rules: ComponentRules
  readonly #parts: Part[] = []
  #next = 0
  /** Fixed text that is not a part yet: the next token may add to it. */
  #pending: string[] = []

  constructor(tokens: readonly Token[], rules: ComponentRules) {
    this.#tokens = tokens
    this.#rules = rules
  }

  read(): Part[] {
    while (this.#tokens[this.#next]?.type !== 'end') {
      if (!this.#readGroup() && !this.#readText() && !this.#readBraces()) {
        throw new ProtocolError('invalid-matcher', 'a URL pattern has something out of place')
      }
    }
    this.#flush()
    return this.#parts
  }

  /** Reads `/:name`, `:name(regexp)`, `(regexp)` or `*`, with its modifier. */
  #readGroup(): boolean {
    const start = this.#next
    const text = this.#take('char') ?? ''
    const group = this.#takeGroup()
    if (group === null) {
      this.#next = start
      return false
    }
    const prefix = text === this.#rules.prefix ? text : ''
    if (prefix === '') this.#pending.push(text)
    this.#add(prefix, group, '', this.#takeModifier())
    return true
  }

  #readText(): boolean {
    const text = this.#take('char') ?? this.#take('escaped-char')
    if (text === null) return false
    this.#pending.push(text)
    return true
  }

  /** Reads `{prefix:name suffix}` with its modifier; without a group inside, the braces only bind a modifier. */
  #readBraces(): boolean {
    if (this.#take('open') === null) return false
    const prefix = this.#takeText()
    const group = this.#takeGroup()
    const suffix = this.#takeText()
    if (this.#take('close') === null) return false
    this.#add(prefix, group, suffix, this.#takeModifier())
    return true
  }

  #add(prefix: string, group: Pick<Part, 'kind' | 'value'> | null, suffix: string, modifier: Modifier): void {
    if (group === null && modifier === '') {
      this.#pending.push(prefix)
      return
    }
    this.#flush()
    const { canonical } = this.#rules
    if (group !== null) {
      this.#parts.push({ ...group, prefix: canonical(prefix), suffix: canonical(suffix), modifier })
    } else if (prefix !== '') {
      this.#parts.push({ kind: 'fixed', value: canonical(prefix), prefix: '', suffix: '', modifier })
    }
  }

  #flush(): void {
    // Joined at the end, because a text that grows piece by piece keeps all of the pieces.
    const text = this.#pending.join('')
    this.#pending = []
    if (text === '') return
    const value = this.#rules.canonical(text)
    this.#parts.push({ kind: 'fixed', value, prefix: '', suffix: '', modifier: '' })
  }

  #takeGroup(): Pick<Part, 'kind' | 'value'> | null {
    const name = this.#take('name')
    const regexp = this.#take('regexp')
    if (regexp === '.*') return { kind: 'any', value: '' }
    if (regexp !== null) return { kind: 'regexp', value: regexp }
    if (name !== null) return { kind: 'segment', value: '' }
    return this.#take('asterisk') === null ? null : { kind: 'any', value: '' }
  }

  #takeModifier(): Modifier {
    const modifier = this.#take('other-modifier') ?? this.#take('asterisk')
    return modifier === '?' || modifier === '+' || modifier === '*' ? modifier : ''
  }

  #takeText(): string {
    let text = ''
    for (;;) {
      const next = this.#take('char') ?? this.#take('escaped-char')
      if (next === null) return text
      text += next
    }
  }

  #take(type: TokenType): string | null {
    const token = this.#tokens[this.#next]
    if (token?.type !== type) return null
    this.#next++
    return token.value
  }
}
