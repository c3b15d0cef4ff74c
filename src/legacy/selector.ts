import { ProtocolError } from '../protocol/error.ts'
import { checkPattern, type Matcher, type WrittenMatcher } from '../protocol/matcher.ts'
import { compileAutomaton } from '../protocol/url-pattern/automaton.ts'
import { type Expression, sequence, text } from '../protocol/url-pattern/expression.ts'
import { parseTemplate } from './template.ts'

/**
 * The type of matchers that are selectors: the name of the parameter that asks for them. It is no registered type, so
 * that nobody asks for it in the way of 1.0.
 */
export const SELECTOR = 'topic'

/**
 * Reads a selector (LEG-03): `*`, or a text that stands for itself and, when it is a well-formed URI Template, for what
 * that can expand to. Throws `invalid-matcher` when it is empty, holds a forbidden character, or is a template that
 * would be heavier than `weightMax`.
 */
export function parseSelector(pattern: string, weightMax: number): Matcher {
  checkPattern(pattern)
  const plain = { type: SELECTOR, pattern, weight: 0 }
  if (pattern === '*') return { ...plain, kind: 'wildcard', test: () => true }
  const template = pattern.includes('{') ? parseTemplate(pattern) : null
  if (template === null) return { ...plain, kind: 'exact', test: (topic) => topic === pattern }
  const start = template.findIndex((part) => typeof part !== 'string')
  const end = template.findLastIndex((part) => typeof part !== 'string') + 1
  const head = template.slice(0, start).join('')
  const tail = template.slice(end).join('')
  const between = sequence(template.slice(start, end).map(expressionOf))
  if (between.weight > weightMax) throw new ProtocolError('invalid-matcher', 'a template is too heavy')
  const matches = compileAutomaton(between, weightMax)
  return {
    type: SELECTOR,
    pattern,
    kind: 'pattern',
    weight: between.weight + Math.floor(pattern.length / UNIT_LENGTH),
    test: (topic) => {
      if (topic === pattern) return true
      const to = topic.length - tail.length
      return (
        to >= head.length && topic.startsWith(head) && topic.endsWith(tail) && matches(topic, head.length, to)
      )
    },
  }
}

/** A selector of a request, to be compiled when its turn has come. Throws as `checkPattern` does. */
export function writtenSelector(pattern: string): WrittenMatcher {
  checkPattern(pattern)
  return { type: SELECTOR, pattern, compile: (weightMax) => parseSelector(pattern, weightMax) }
}

function expressionOf(part: string | Expression): Expression {
  return typeof part === 'string' ? text(part) : part
}

/** Characters of a selector that weigh 1, as those of other matchers do. */
const UNIT_LENGTH = 128
