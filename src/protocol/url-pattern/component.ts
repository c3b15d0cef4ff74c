import { compileAutomaton, type PartTest } from './automaton.ts'
import {
  alphabet,
  type CharacterSet,
  characterSet,
  type Expression,
  one,
  repeat,
  sequence,
  text,
} from './expression.ts'
import { readGroup } from './group.ts'
import { type ComponentRules, type Part, parseParts } from './part.ts'

/** The test of one component of a URL. `cost` orders tests, the cheapest first. */
export interface ComponentTest {
  readonly cost: 'free' | 'comparison' | 'walk' | 'regexp'
  /** Its memory and its time, as `Matcher.weight` counts them. */
  readonly weight: number
  test(text: string): boolean
}

/**
 * Compiles the pattern of one component. Most patterns are fixed text with a few groups, and plain string
 * operations test them in linear time, several times faster than an automaton. Throws `invalid-matcher`, also when
 * the test would be heavier than `weightMax`.
 */
export function compileComponent(pattern: string, rules: ComponentRules, weightMax: number): ComponentTest {
  const parts = parseParts(pattern, rules)
  const steps = stepsOf(parts)
  if (steps !== null) {
    const [first = ''] = steps
    if (steps.length === 1 && first === ANY) return anything
    if (steps.length <= 1 && typeof first === 'string') return new Comparison(first)
    if (!steps.includes(SEGMENT)) return new Glob(steps)
    if (isWalkable(steps, rules.delimiter)) return new Walk(steps, rules.delimiter)
  }
  return new Regexp(parts, rules.delimiter, weightMax)
}

const SEGMENT = Symbol('one or more characters that are not the delimiter')
const ANY = Symbol('any characters, or none')

/** Fixed text, or a group between two texts. Texts never follow each other and are never empty. */
type Step = string | typeof SEGMENT | typeof ANY

/** The parts as a plain sequence, or null when something is optional, repeated or a regular expression. */
function stepsOf(parts: readonly Part[]): Step[] | null {
  const steps: Step[] = []
  for (const { kind, value, prefix, suffix, modifier } of parts) {
    if (kind === 'regexp' || modifier !== '') return null
    addText(steps, prefix + value)
    if (kind === 'segment') steps.push(SEGMENT)
    if (kind === 'any') steps.push(ANY)
    addText(steps, suffix)
  }
  return steps
}

function addText(steps: Step[], text: string): void {
  if (text === '') return
  const last = steps.at(-1)
  if (typeof last === 'string') steps[steps.length - 1] = last + text
  else steps.push(text)
}

const anything: ComponentTest = { cost: 'free', weight: 0, test: () => true }

// Classes, because a pattern has up to four tests, and there are tens of thousands of patterns: a closure takes five
// times as much memory.
class Comparison implements ComponentTest {
  readonly #expected: string

  constructor(expected: string) {
    this.#expected = expected
  }

  get cost() {
    return 'comparison' as const
  }

  get weight(): number {
    return 0
  }

  test(text: string): boolean {
    return text === this.#expected
  }
}

/** Texts with stars between them. The earliest place of each text is always good enough, so it retries nothing. */
class Glob implements ComponentTest {
  readonly #head: string
  readonly #middle: readonly string[]
  readonly #tail: string

  constructor(steps: readonly Step[]) {
    const [first] = steps
    const last = steps.at(-1)
    this.#head = typeof first === 'string' ? first : ''
    this.#tail = typeof last === 'string' ? last : ''
    const inner = steps.slice(this.#head === '' ? 0 : 1, this.#tail === '' ? undefined : -1)
    const middle = inner.filter((step) => typeof step === 'string')
    this.#middle = middle.length === 0 ? none : middle
  }

  get cost() {
    return 'walk' as const
  }

  get weight(): number {
    return this.#middle.length
  }

  test(text: string): boolean {
    const head = this.#head
    const tail = this.#tail
    const end = text.length - tail.length
    if (end < head.length || !text.startsWith(head) || !text.endsWith(tail)) return false
    let at = head.length
    for (const part of this.#middle) {
      const found = text.indexOf(part, at)
      if (found === -1) return false
      at = found + part.length
    }
    return at <= end
  }
}

const none: readonly string[] = []

/** Whether each segment can only end at the next delimiter, and a star only stands at the end. */
function isWalkable(steps: readonly Step[], delimiter: string): boolean {
  return steps.every((step, index) => {
    const next = steps[index + 1]
    if (typeof step === 'string' || next === undefined) return true
    return step === SEGMENT && delimiter !== '' && typeof next === 'string' && next.startsWith(delimiter)
  })
}

class Walk implements ComponentTest {
  readonly #steps: readonly Step[]
  readonly #delimiter: Delimiter

  constructor(steps: readonly Step[], delimiter: Delimiter) {
    this.#steps = steps
    this.#delimiter = delimiter
  }

  get cost() {
    return 'walk' as const
  }

  get weight(): number {
    return this.#steps.length
  }

  test(text: string): boolean {
    let at = 0
    for (const step of this.#steps) {
      if (step === ANY) return true
      const end = step === SEGMENT ? segmentEnd(text, at, this.#delimiter) : at + step.length
      if (step === SEGMENT ? end === at : !text.startsWith(step, at)) return false
      at = end
    }
    return at === text.length
  }
}

function segmentEnd(text: string, start: number, delimiter: string): number {
  const end = delimiter === '' ? -1 : text.indexOf(delimiter, start)
  return end === -1 ? text.length : end
}

/**
 * A component that needs an automaton (URL Pattern standard, "generate a regular expression and name list"; captures
 * are of no interest). It compares fixed text at its ends first, which most topics do not get past.
 */
class Regexp implements ComponentTest {
  readonly weight: number
  readonly #head: string
  readonly #tail: string
  readonly #matches: PartTest

  constructor(parts: readonly Part[], delimiter: Delimiter, weightMax: number) {
    const pieces = parts.flatMap(withTextsApart)
    const start = pieces.findIndex((part) => !isFixed(part))
    const end = pieces.findLastIndex((part) => !isFixed(part)) + 1
    this.#head = textOf(pieces.slice(0, start))
    this.#tail = textOf(pieces.slice(end))
    const between = pieces.slice(start, end)
    const expression = sequence(between.map((part) => partExpression(part, delimiter)))
    this.#matches = compileAutomaton(expression, weightMax)
    this.weight = expression.weight
  }

  get cost() {
    return 'regexp' as const
  }

  test(text: string): boolean {
    const head = this.#head
    const tail = this.#tail
    const end = text.length - tail.length
    return (
      end >= head.length &&
      text.startsWith(head) &&
      text.endsWith(tail) &&
      this.#matches(text, head.length, end)
    )
  }
}

/** The prefix and the suffix of a part that must be there once are fixed text. */
function withTextsApart(part: Part): readonly Part[] {
  if (part.modifier !== '') return [part]
  const { prefix, suffix } = part
  const fixed = { ...part, kind: 'fixed', prefix: '', suffix: '' } as const
  return [
    { ...fixed, value: prefix },
    { ...part, prefix: '', suffix: '' },
    { ...fixed, value: suffix },
  ]
}

function isFixed({ kind, modifier }: Part): boolean {
  return kind === 'fixed' && modifier === ''
}

function textOf(parts: readonly Part[]): string {
  return parts.map(({ value }) => value).join('')
}

function partExpression(part: Part, delimiter: Delimiter): Expression {
  const once = sequence([text(part.prefix), bodyOf(part, delimiter), text(part.suffix)])
  switch (part.modifier) {
    case '':
      return once
    case '?':
      return repeat(once, 0, 1)
    case '*':
      return repeat(once, 0, Number.POSITIVE_INFINITY)
    case '+':
      return repeat(once, 1, Number.POSITIVE_INFINITY)
    default:
      return part.modifier satisfies never
  }
}

function bodyOf(part: Part, delimiter: Delimiter): Expression {
  switch (part.kind) {
    case 'fixed':
      return text(part.value)
    case 'regexp':
      return readGroup(part.value)
    case 'any':
      return repeat(one(allBut['']), 0, Number.POSITIVE_INFINITY)
    case 'segment':
      return repeat(one(allBut[delimiter]), 1, Number.POSITIVE_INFINITY)
    default:
      return part.kind satisfies never
  }
}

type Delimiter = ComponentRules['delimiter']

const allBut: Readonly<Record<Delimiter, CharacterSet>> = {
  '': characterSet(alphabet),
  '.': characterSet(alphabet.replace('.', '')),
  '/': characterSet(alphabet.replace('/', '')),
}
