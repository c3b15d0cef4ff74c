/** Variables of the environment that a Caddyfile asks for. */

/** Stands for a line break inside a value, which ends a line and is none of the file's: lines keep their numbers. */
export const INNER_BREAK = '\v'

type Environment = Readonly<Record<string, string | undefined>>

/** A text after its variables were put in. */
export interface Expanded {
  readonly text: string
  /** Names that the environment does not have, and without a default, in the order in which they were met. */
  readonly missing: readonly string[]
}

/** Whether something is left that Caddy would put a value in for, such as `{http.request.host}`. */
export function hasPlaceholder(word: string): boolean {
  return /\{[$A-Za-z_][^{}\s]*\}/.test(word)
}

/**
 * Puts the values in the place of `{$NAME}` and `{$NAME:default}`. Caddy does that before it reads anything else, so a
 * value may hold whole lines. A name that is not there is left out, as Caddy does, and listed. A key becomes the
 * placeholder `{env.NAME}`: it is not to leave the environment.
 */
export function expandBeforeParsing(text: string, env: Environment): Expanded {
  return expand(withoutKeys(text, env), env, /\{\$([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}/g)
}

/** Puts the values in the place of `{env.NAME}`, which Caddy does within single words, when it runs. */
export function expandPlaceholders(word: string, env: Environment): Expanded {
  const { text, missing } = expand(word, env, /\{env\.([A-Za-z_][A-Za-z0-9_]*)\}/g)
  return { text: text.replaceAll(INNER_BREAK, '\n'), missing }
}

function withoutKeys(text: string, env: Environment): string {
  return text.replaceAll(
    /^([ \t]*(?:publisher_jwt|subscriber_jwt|jwt)[ \t]+[^\s{]*)\{\$([A-Za-z_][A-Za-z0-9_]*)(?::([^}\n]*))?\}/gm,
    (whole, before: string, name: string, fallback: unknown) =>
      env[name] === undefined && typeof fallback === 'string' ? whole : `${before}{env.${name}}`,
  )
}

function expand(text: string, env: Environment, pattern: RegExp): Expanded {
  const missing: string[] = []
  const expanded = text.replaceAll(pattern, (_, name: string, fallback: unknown) => {
    const value = env[name]
    if (value !== undefined) return value.replaceAll(/\r?\n/g, INNER_BREAK)
    if (typeof fallback === 'string') return fallback
    missing.push(name)
    return ''
  })
  return { text: expanded, missing }
}
