import { compileAutomaton } from './automaton.ts'
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
  /** What it holds and costs, as `Matcher.weight` counts it. */
  readonly weight: number
  test(text: string): boolean
}

/**
 * Compiles the pattern of one component. Most patterns are fixed text with a few groups, and plain string
 * operations test them in linear time, several times faster than an automaton. Throws `invalid-matcher`, also when
 * it would be heavier than `weightMax`.
 */
export function compileComponent(pattern: string, rules: ComponentRules, weightMax: number): ComponentTest {
  const parts = parseParts(pattern, rules)
  const steps = stepsOf(parts)
  if (steps !== null) {
    const [first] = steps
    if (steps.length === 1 && first === ANY) return { cost: 'free', weight: 0, test: () => true }
    if (steps.length === 0) return comparison('')
    if (steps.length === 1 && typeof first === 'string') return comparison(first)
    if (!steps.includes(SEGMENT)) return glob(steps)
    if (isWalkable(steps, rules.delimiter)) return walk(steps, rules.delimiter)
  }
  return regexp(parts, rules.delimiter, weightMax)
}

const SEGMENT = Symbol('one or more characters that are not the delimiter')
const ANY = Symbol('any characters, or none')

/** Fixed text, or what stands between. Texts never follow each other and are never empty. */
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

function comparison(expected: string): ComponentTest {
  return { cost: 'comparison', weight: 0, test: (text) => text === expected }
}

/** Texts with stars between. The earliest place of each text is always good enough, so nothing is retried. */
function glob(steps: readonly Step[]): ComponentTest {
  const [first] = steps
  const last = steps.at(-1)
  const head = typeof first === 'string' ? first : ''
  const tail = typeof last === 'string' ? last : ''
  const inner = steps.slice(head === '' ? 0 : 1, tail === '' ? undefined : -1)
  const middle = inner.filter((step) => typeof step === 'string')
  const test = (text: string): boolean => {
    const end = text.length - tail.length
    if (end < head.length || !text.startsWith(head) || !text.endsWith(tail)) return false
    let at = head.length
    for (const part of middle) {
      const found = text.indexOf(part, at)
      if (found === -1) return false
      at = found + part.length
    }
    return at <= end
  }
  return { cost: 'walk', weight: steps.length, test }
}

/** Whether each segment can only end at the next delimiter, and a star only stands at the end. */
function isWalkable(steps: readonly Step[], delimiter: string): boolean {
  return steps.every((step, index) => {
    const next = steps[index + 1]
    if (typeof step === 'string' || next === undefined) return true
    return step === SEGMENT && delimiter !== '' && typeof next === 'string' && next.startsWith(delimiter)
  })
}

function walk(steps: readonly Step[], delimiter: string): ComponentTest {
  const test = (text: string): boolean => {
    let at = 0
    for (const step of steps) {
      if (step === ANY) return true
      const end = step === SEGMENT ? segmentEnd(text, at, delimiter) : at + step.length
      if (step === SEGMENT ? end === at : !text.startsWith(step, at)) return false
      at = end
    }
    return at === text.length
  }
  return { cost: 'walk', weight: steps.length, test }
}

function segmentEnd(text: string, start: number, delimiter: string): number {
  const end = delimiter === '' ? -1 : text.indexOf(delimiter, start)
  return end === -1 ? text.length : end
}

/**
 * A pattern that needs an automaton (URL Pattern standard, "generate a regular expression and name list"; captures
 * are of no interest). Fixed text at its ends is compared, which most topics do not get past.
 */
function regexp(parts: readonly Part[], delimiter: Delimiter, weightMax: number): ComponentTest {
  const head = fixedText(parts[0])
  const tail = fixedText(parts.at(-1))
  const between = parts.slice(head === '' ? 0 : 1, tail === '' ? undefined : -1)
  const expression = sequence(between.map((part) => partExpression(part, delimiter)))
  const matches = compileAutomaton(expression, weightMax)
  const test = (text: string): boolean => {
    const end = text.length - tail.length
    return (
      end >= head.length && text.startsWith(head) && text.endsWith(tail) && matches(text, head.length, end)
    )
  }
  return { cost: 'regexp', weight: expression.weight, test }
}

function fixedText(part: Part | undefined): string {
  return part?.kind === 'fixed' && part.modifier === '' ? part.value : ''
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
