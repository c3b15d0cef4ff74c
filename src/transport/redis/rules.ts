import type { Retention, Rule, RuleLimits } from '../retention.ts'

/** The rules of a log as text, so that every node has the same: the log keeps them, and nodes compile them. */

/** Makes a rule of its limits; its name says what it selects. Throws a plain Error when this node cannot. */
export type CompileRule = (limits: RuleLimits) => Rule

/** The rules as the log keeps them; empty without any. */
export function rulesText({ rules = [] }: Retention): string {
  if (rules.length === 0) return ''
  return JSON.stringify(
    rules.map(({ name, perTopic, isApart = false, maxCount, maxAgeMs, maxBytes }) => ({
      name,
      perTopic,
      isApart,
      ...(maxCount !== null && { maxCount }),
      ...(maxAgeMs !== null && { maxAge: maxAgeMs }),
      ...(maxBytes !== null && { maxBytes }),
    })),
  )
}

/** The selections of the rules as text: when it changes, the log sorts its entries again. */
export function selectionText({ rules = [] }: Retention): string {
  return JSON.stringify(rules.map(({ name, perTopic }) => [name, perTopic]))
}

/** Reads `rulesText`. Throws a plain Error for a text that is none, or a rule that cannot be compiled. */
export function parseRules(text: string, compile: CompileRule): readonly Rule[] {
  const parsed: unknown = text === '' ? [] : JSON.parse(text)
  if (!Array.isArray(parsed)) throw new Error('the log holds rules that no hub wrote')
  return parsed.map((one) => compile(limitsOf(one)))
}

/** The group within its rule whose limits an entry counts against: all of the rule, or those of its canonical topic. */
export function groupOf([canonical = '']: readonly string[], rule: RuleLimits | undefined): string {
  if (rule?.perTopic !== true) return ''
  return new Bun.CryptoHasher('sha1').update(canonical).digest('hex').slice(0, GROUP_CHARACTERS)
}

const GROUP_CHARACTERS = 32

function limitsOf(stored: unknown): RuleLimits {
  const members = new Map(Object.entries(typeof stored === 'object' && stored !== null ? stored : {}))
  const limit = (name: string) => {
    const value = members.get(name)
    return typeof value === 'number' ? value : null
  }
  return {
    name: String(members.get('name')),
    perTopic: members.get('perTopic') === true,
    isApart: members.get('isApart') === true,
    maxCount: limit('maxCount'),
    maxAgeMs: limit('maxAge'),
    maxBytes: limit('maxBytes'),
  }
}
