import { legacyIssuer } from './borrowed/container.ts'
import type { Settings } from './checks.ts'
import { type Problem, problem } from './given.ts'

/**
 * A token is for one hub (AUT-40). If the hub derived the audience from the request, the client would choose it: a
 * token for one hub would work at every other hub of its issuer. Only a developer's hub may go without an audience, and
 * one whose tokens, of the 0.x generation, have none.
 */
export function audienceProblems({ hub, issuers }: Settings, isDev: boolean): readonly Problem[] {
  if (isDev || hub.resourceIdentifier !== null || issuers.every(({ id }) => id === legacyIssuer)) return []
  const line = 'public_urls = ["https://hub.example.com"]'
  return [
    problem(
      'hub.public_urls',
      `is needed with issuers, or clients would choose for which hub a token is: add ${line} under [hub], with the ` +
        'origin that clients use, or set hub.resource_identifier to the `aud` of its tokens',
    ),
  ]
}
