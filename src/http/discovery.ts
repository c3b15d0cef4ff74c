import { matcherTypes } from '../protocol/matcher.ts'

/** The content of the protected resource metadata of this hub (section 8, RFC 9728). */
export interface MetadataOptions {
  /** Whether the hub validates tokens at all; without, there is no document (DIS-02). */
  readonly hasKeys: boolean
  /** Issuer identifiers of the advertised authorization servers (DIS-06). */
  readonly authorizationServers: readonly string[]
  readonly cookieName: string
  /** Whether the hub serves section 7 (DIS-09). */
  readonly hasSubscriptions: boolean
}

/** The path of the document below the origin (RFC 9728 section 3.1). */
export function metadataPath(hubPath: string): string {
  return `/.well-known/oauth-protected-resource${hubPath}`
}

/** The document for a resource identifier, or null when the hub has none to offer. */
export function metadataDocument(
  resource: string,
  options: MetadataOptions,
): Readonly<Record<string, unknown>> | null {
  if (!options.hasKeys) return null
  return {
    resource,
    ...(options.authorizationServers.length > 0 && { authorization_servers: options.authorizationServers }),
    bearer_methods_supported: ['header'],
    authorization_details_types_supported: ['https://mercure.rocks/authorization-detail'],
    mercure_cookie: options.cookieName,
    mercure_matcher_types_supported: matcherTypes,
    ...(options.hasSubscriptions && { mercure_subscriptions: true }),
  }
}
