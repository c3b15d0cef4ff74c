import { readToken } from '../../auth/token.ts'
import { bad, type Finding, ok } from './finding.ts'

/**
 * The claims of a token beside the hub that it is for: the hub itself says only that it does not accept it. `hubMs` is
 * the time of the hub in milliseconds. No finding repeats a token.
 */
export function tokenFindings(token: string, url: URL, hubMs: number): readonly Finding[] {
  const read = readToken(token)
  if (read === null) return [bad('token', 'it is no signed token of three parts', MINT)]
  const { aud, exp, nbf } = read.claims
  const audience = `${url.origin}${url.pathname}`
  const audiences = [aud].flat().filter((each) => typeof each === 'string')
  const found: Finding[] = []
  if (audiences.length > 0 && !audiences.includes(audience)) {
    const cure = `mint it for ${audience}, or set hub.public_urls or hub.resource_identifier to what it is for`
    found.push(bad('aud', `the token is for ${audiences.join(', ')}, and clients reach ${audience}`, cure))
  }
  if (typeof exp === 'number' && exp * 1000 <= hubMs) {
    const cure = 'mint another; when it is new, set the clock of the machine that minted it'
    found.push(
      bad('token', `it expired ${Math.round(hubMs / 1000 - exp)} s ago by the clock of the hub`, cure),
    )
  }
  if (typeof nbf === 'number' && nbf * 1000 > hubMs) {
    const cure = 'set the clock of the machine that minted it'
    found.push(bad('token', `it begins in ${Math.round(nbf - hubMs / 1000)} s by the clock of the hub`, cure))
  }
  return found.length > 0 ? found : [ok('aud', 'the token is for this hub')]
}

const MINT = 'mint one with cinnabar token'
