import { legacyIssuer } from '../../config/borrowed/container.ts'
import type { Directive } from './blocks.ts'
import { commented, type Draft, spelled } from './draft.ts'
import { expandPlaceholders, hasPlaceholder } from './environment.ts'

/** The key or the key set that verifies the tokens of one role. */
interface Material {
  readonly line: number
  readonly kind: 'jwt' | 'jwks'
  readonly args: readonly string[]
}

type Role = 'publisher' | 'subscriber'

type Environment = Readonly<Record<string, string | undefined>>

/** Issuers with their keys: those of `issuer` blocks, and the one that the directives of 0.x mean without naming it. */
export class Keys {
  readonly #draft: Draft
  readonly #env: Environment
  readonly #implicit = new Map<Role, Material>()
  #count = 0

  constructor(draft: Draft, env: Environment) {
    this.#draft = draft
    this.#env = env
  }

  /** `publisher_jwt`, `subscriber_jwks_url` and the like. A key set is stronger than a key, whichever comes first. */
  readImplicit(role: Role, kind: Material['kind'], { args, line, name }: Directive): void {
    if (args.length === 0) {
      this.#draft.problem(line, `${name} has no value`)
      return
    }
    const known = this.#implicit.get(role)
    if (known?.kind === 'jwks' && kind === 'jwt') this.#draft.remark(line, `${name}: the key set is stronger`)
    else this.#implicit.set(role, { line, kind, args })
  }

  /** `issuer <id> { … }`. */
  readIssuer({ args, line, block }: Directive): void {
    const [id, ...more] = args
    if (id === undefined || more.length > 0) {
      this.#draft.problem(line, 'issuer takes one identifier')
      return
    }
    const lines = ['[[issuers]]', `id = ${spelled(this.#expanded(id, line))}`]
    const roles: string[] = []
    for (const inner of block ?? []) {
      if (inner.name === 'authorization_server' && inner.args.length <= 1 && inner.block === null)
        lines.push(`authorization_server = ${spelled(this.#expanded(inner.args[0] ?? id, inner.line))}`)
      else if (inner.name === 'publisher' || inner.name === 'subscriber') {
        roles.push(...this.#roleOf(inner.name, inner))
      } else this.#draft.problem(inner.line, `${nameOf(inner)} is no part of an issuer that is known here`)
    }
    if (roles.length === 0) this.#draft.problem(line, 'issuer has no keys that are known here')
    this.#table([...lines, ...roles])
    this.#count++
  }

  /** Whether there are keys that name no issuer, which means tokens of 0.x. */
  get isImplicit(): boolean {
    return this.#implicit.size > 0
  }

  /** Writes the implicit issuer. */
  finish(): void {
    if (this.#implicit.size === 0) {
      if (this.#count === 0) this.#draft.remark(null, 'no keys were found: the hub accepts no tokens')
      return
    }
    const why = 'The keys name no issuer, as in 0.x: no token has to name this one.'
    const lines = [...commented(why), '[[issuers]]', `id = ${spelled(legacyIssuer)}`]
    for (const [role, material] of this.#implicit) {
      lines.push(...(this.#isInEnvironment(role, material) ? [] : this.#materialOf(role, material)))
    }
    this.#table(lines)
  }

  /** An issuer without any key would be a mistake: it becomes a comment. */
  #table(lines: readonly string[]): void {
    const hasKeys = lines.some((line) => line.startsWith('[issuers.'))
    if (hasKeys) this.#draft.table(lines)
    else if (lines.some((line) => line.startsWith('# [')))
      this.#draft.table(lines.map((line) => (line.startsWith('#') ? line : `# ${line}`)))
  }

  /** A key in the variable from which this hub takes it too is left there. */
  #isInEnvironment(role: Role, { kind, args, line }: Material): boolean {
    const [name, algorithm = ''] = [`MERCURE_${role.toUpperCase()}_JWT_KEY`, args[1]]
    if (kind !== 'jwt' || args[0] !== `{env.${name}}` || this.#count > 0) return false
    const known = `MERCURE_${role.toUpperCase()}_JWT_ALG`
    this.#draft.remark(line, `${role}_jwt: the hub takes ${name} and ${known} from its environment`)
    const isSame = algorithm === `{env.${known}}` || (algorithm === '' && (this.#env[known] ?? '') === '')
    if (args.length > 2 || !(isSame || (algorithm || 'HS256') === (this.#env[known] || 'HS256')))
      this.#draft.problem(line, `${role}_jwt: set ${known} to the algorithm that the line names`)
    return true
  }

  #roleOf(role: Role, { block, line }: Directive): readonly string[] {
    const known = (block ?? []).filter(({ name }) => name === 'jwt' || name === 'jwks_uri')
    for (const inner of block ?? []) {
      if (!known.includes(inner))
        this.#draft.problem(inner.line, `${nameOf(inner)} is no key that is known here`)
    }
    const [first, ...more] = known
    if (first === undefined || more.length > 0) {
      this.#draft.problem(line, `${role} takes one jwt or one jwks_uri`)
      return []
    }
    const kind = first.name === 'jwt' ? 'jwt' : 'jwks'
    return this.#materialOf(role, { kind, args: first.args, line: first.line })
  }

  #materialOf(role: Role, { kind, args, line }: Material): readonly string[] {
    const [first = '', ...rest] = args
    const file = kind === 'jwt' ? /^\{file\.([^{}]+)\}$/.exec(first)?.[1] : undefined
    const kept = kind === 'jwt' ? /\{env\.([^{}]+)\}/.exec(first)?.[1] : undefined
    const isKept = kept !== undefined
    if (isKept)
      this.#draft.problem(
        line,
        `the key in ${kept} is not copied: write it to a file and name that in key_file`,
      )
    const value = isKept ? '' : (file ?? this.#expanded(first, line))
    // An algorithm without a value is that of the other hub's default, as it is there.
    const algorithms = rest
      .map((arg) => expandPlaceholders(arg, this.#env).text)
      .filter((name) => name !== '')
    // A placeholder without a value is listed already.
    if (value === '') return [`# [issuers.${role}]`, '# key_file = "…"']
    if (kind === 'jwks') {
      const list = algorithms.length === 0 ? [] : [`algorithms = ${spelled(algorithms)}`]
      return [`[issuers.${role}]`, `jwks_uri = ${spelled(value)}`, ...list]
    }
    if (algorithms.length > 1) this.#draft.problem(line, 'a key has one algorithm')
    if (file !== undefined) {
      return [
        `[issuers.${role}]`,
        `key_file = ${spelled(file)}`,
        `algorithm = ${spelled(algorithms[0] ?? 'HS256')}`,
      ]
    }
    const isPem = value.includes('-----BEGIN')
    if (isPem && algorithms[0] === undefined) this.#draft.problem(line, 'a key in PEM needs its algorithm')
    return [
      `[issuers.${role}]`,
      ...commented(
        `line ${line}: the key stood in the Caddyfile. Better a file of its own, which only the hub may read: key_file = "…"`,
      ),
      `key = ${spelled(value)}`,
      isPem && algorithms[0] === undefined
        ? '# algorithm = "…"'
        : `algorithm = ${spelled(algorithms[0] ?? 'HS256')}`,
    ]
  }

  #expanded(arg: string, line: number): string {
    const { text, missing } = expandPlaceholders(arg, this.#env)
    for (const name of missing)
      this.#draft.problem(line, `${name} has no value here: set it and run this again`)
    if (!hasPlaceholder(text)) return text
    this.#draft.problem(line, 'a placeholder that is not known here')
    return ''
  }
}

/** The name of a directive for a message; a word that is no plain name may be a key. */
export function nameOf({ name }: Directive): string {
  return /^[a-z][a-z0-9_-]{0,40}$/.test(name) ? name : 'the directive'
}
