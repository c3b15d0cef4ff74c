import { findAlgorithm, keySetAlgorithms } from './algorithm.ts'
import { keyAddressProblem } from './key-address.ts'
import { type Outside, openKeySet } from './key-set.ts'
import { type KeySource, staticKey } from './key-source.ts'
import { type IssuerSettings, type Key, type KeySettings, parseVerificationKey, type Role } from './keys.ts'

/** A trusted issuer with its keys. Each role has its own, or none. */
export interface Issuer {
  readonly id: string
  readonly keys: Readonly<Record<Role, KeySource | null>>
}

/** A mistake in the configuration of the issuers. */
export interface IssuerProblem {
  /** The place of the mistake, for example `issuers[0].publisher.key`. */
  readonly setting: string
  /** The mistake in words, for the operator. Never shows a key. */
  readonly message: string
}

/** Finds every mistake at once, without opening anything (AUT-38, AUT-39). Empty: all is well. */
export async function checkIssuers(issuers: readonly IssuerSettings[]): Promise<readonly IssuerProblem[]> {
  const known = new Set<string>()
  const problems: IssuerProblem[] = []
  for (const [index, settings] of issuers.entries()) {
    const setting = `issuers[${index}]`
    if (settings.id === '')
      problems.push({ setting: `${setting}.id`, message: 'the issuer has no identifier' })
    if (known.has(settings.id))
      problems.push({ setting: `${setting}.id`, message: 'this issuer is there twice' })
    known.add(settings.id)
    problems.push(...(await checkRoles(settings, setting)))
  }
  return problems
}

/** Opens the keys of every issuer. Rejects with a plain Error that lists every mistake, one a line. */
export async function openIssuers(
  issuers: readonly IssuerSettings[],
  outside: (issuer: string) => Outside,
): Promise<readonly Issuer[]> {
  const problems = await checkIssuers(issuers)
  if (problems.length > 0) {
    throw new Error(problems.map(({ setting, message }) => `${setting}: ${message}`).join('\n'))
  }
  return Promise.all(issuers.map((settings) => openIssuer(settings, outside(settings.id))))
}

async function openIssuer({ id, publisher, subscriber }: IssuerSettings, outside: Outside): Promise<Issuer> {
  return {
    id,
    keys: { publisher: await openKeys(publisher, outside), subscriber: await openKeys(subscriber, outside) },
  }
}

async function openKeys(settings: KeySettings | undefined, outside: Outside): Promise<KeySource | null> {
  if (settings?.jwksUri !== undefined) {
    return openKeySet(settings.jwksUri, settings.algorithms ?? keySetAlgorithms, outside)
  }
  if (settings?.key === undefined || settings.algorithm === undefined) return null
  return staticKey(await parseVerificationKey(settings.key, settings.algorithm), settings.algorithm)
}

async function checkRoles(settings: IssuerSettings, setting: string): Promise<IssuerProblem[]> {
  const { publisher, subscriber } = settings
  if (publisher === undefined && subscriber === undefined)
    return [{ setting, message: 'the issuer has no key' }]
  return [
    ...(await checkKeys(publisher, `${setting}.publisher`)),
    ...(await checkKeys(subscriber, `${setting}.subscriber`)),
  ]
}

async function checkKeys(settings: KeySettings | undefined, setting: string): Promise<IssuerProblem[]> {
  if (settings === undefined) return []
  const { key, algorithm, jwksUri } = settings
  if (jwksUri !== undefined) {
    if (key !== undefined) return [{ setting, message: 'a key and a key set exclude each other' }]
    return checkKeySet(jwksUri, settings, setting)
  }
  if (key === undefined) return [{ setting, message: 'neither a key nor a key set' }]
  if (algorithm === undefined) {
    return [{ setting: `${setting}.algorithm`, message: 'a key needs its algorithm' }]
  }
  if (findAlgorithm(algorithm) === null) {
    return [{ setting: `${setting}.algorithm`, message: 'not a supported algorithm' }]
  }
  const problem = await keyProblem(parseVerificationKey(key, algorithm))
  return problem === null ? [] : [{ setting: `${setting}.key`, message: problem }]
}

function checkKeySet(uri: string, settings: KeySettings, setting: string): IssuerProblem[] {
  const { algorithms = keySetAlgorithms, jwksInsecure = false } = settings
  const problems: IssuerProblem[] = []
  const address = keyAddressProblem(uri, jwksInsecure)
  if (address !== null) problems.push({ setting: `${setting}.jwks_uri`, message: address })
  if (algorithms.length === 0) problems.push({ setting: `${setting}.algorithms`, message: 'none is allowed' })
  // The message leaves the value out: an operator who swaps two settings has put the key there.
  if (algorithms.some((name) => (findAlgorithm(name)?.keyType ?? 'oct') === 'oct')) {
    problems.push({ setting: `${setting}.algorithms`, message: 'holds one that is not for key sets' })
  }
  return problems
}

async function keyProblem(parsing: Promise<Key>): Promise<string | null> {
  return parsing.then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : 'the key cannot be read'),
  )
}
