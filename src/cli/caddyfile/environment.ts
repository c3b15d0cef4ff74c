/** Variables of the environment that a Caddyfile asks for. */

/** Stands for a line break inside a value, which ends a line and is none of the file's: lines keep their numbers. */
export const INNER_BREAK = '\v'

type Environment = Readonly<Record<string, string | undefined>>

/** A text after its variables were put in. */
export interface Expanded {
  readonly text: string
  /** Names without a value and without a default, in the order in which they were met. */
  readonly missing: readonly string[]
}

/**
 * Puts the values in the place of `{$NAME}` and `{$NAME:default}`. Caddy does that before it reads anything else, so a
 * value may hold whole lines. A name without a value is left out, as Caddy does, and listed.
 */
export function expandBeforeParsing(text: string, env: Environment): Expanded {
  return expand(text, env, /\{\$([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}/g)
}

/** Puts the values in the place of `{env.NAME}`, which Caddy does within single words, when it runs. */
export function expandPlaceholders(word: string, env: Environment): Expanded {
  const { text, missing } = expand(word, env, /\{env\.([A-Za-z_][A-Za-z0-9_]*)\}/g)
  return { text: text.replaceAll(INNER_BREAK, '\n'), missing }
}

function expand(text: string, env: Environment, pattern: RegExp): Expanded {
  const missing: string[] = []
  const expanded = text.replaceAll(pattern, (_, name: string, fallback: unknown) => {
    const value = env[name] ?? ''
    if (value !== '') return value.replaceAll(/\r?\n/g, INNER_BREAK)
    if (typeof fallback === 'string') return fallback
    missing.push(name)
    return ''
  })
  return { text: expanded, missing }
}
