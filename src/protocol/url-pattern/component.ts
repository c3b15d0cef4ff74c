import { translateGroup } from './group.ts'
import { type ComponentRules, type Part, parseParts } from './part.ts'
import { compileLinear, type LinearSource, quote } from './regexp.ts'

/** The test of one component of a URL. `cost` orders tests, the cheapest first. */
export interface ComponentTest {
  readonly cost: 'free' | 'comparison' | 'walk' | 'regexp'
  test(text: string): boolean
}

/**
 * Compiles the pattern of one component. Most patterns are fixed text with a few groups, and plain string
 * operations test them in linear time, several times faster than the engine. Throws `invalid-matcher`.
 */
export function compileComponent(pattern: string, rules: ComponentRules): ComponentTest {
  const parts = parseParts(pattern, rules)
  const steps = stepsOf(parts)
  if (steps !== null) {
    const [first] = steps
    if (steps.length === 1 && first === ANY) return { cost: 'free', test: () => true }
    if (steps.length === 0) return comparison('')
    if (steps.length === 1 && typeof first === 'string') return comparison(first)
    if (!steps.includes(SEGMENT)) return glob(steps)
    if (isWalkable(steps, rules.delimiter)) return walk(steps, rules.delimiter)
  }
  return { cost: 'regexp', test: compileLinear(regexpOf(parts, rules.delimiter)) }
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
  return { cost: 'comparison', test: (text) => text === expected }
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
  return { cost: 'walk', test }
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
  return { cost: 'walk', test }
}

function segmentEnd(text: string, start: number, delimiter: string): number {
  const end = delimiter === '' ? -1 : text.indexOf(delimiter, start)
  return end === -1 ? text.length : end
}

/** URL Pattern standard, "generate a regular expression and name list". Captures are of no interest. */
function regexpOf(parts: readonly Part[], delimiter: string): LinearSource {
  let text = ''
  let weight = 0
  for (const part of parts) {
    const source = partRegexp(part, delimiter)
    text += source.text
    weight += source.weight
  }
  return { text, weight }
}

function partRegexp(part: Part, delimiter: string): LinearSource {
  const { modifier } = part
  const { text, weight } = bodyOf(part, delimiter)
  const prefix = quote(part.prefix)
  const suffix = quote(part.suffix)
  const once = prefix.weight + weight + suffix.weight
  if (modifier === '' || modifier === '?' || part.prefix + part.suffix === '') {
    return { text: `(?:${prefix.text}${text}${suffix.text})${modifier}`, weight: once }
  }
  const more = `(?:${suffix.text}${prefix.text}${text})*`
  const optional = modifier === '*' ? '?' : ''
  return { text: `(?:${prefix.text}${text}${more}${suffix.text})${optional}`, weight: 2 * once }
}

function bodyOf(part: Part, delimiter: string): LinearSource {
  switch (part.kind) {
    case 'fixed':
      return quote(part.value)
    case 'regexp':
      return translateGroup(part.value)
    case 'any':
      return { text: '(?:.*)', weight: 1 }
    case 'segment':
      return { text: delimiter === '' ? '(?:.+)' : `(?:[^${delimiter}]+)`, weight: 1 }
    default:
      return part.kind satisfies never
  }
}
