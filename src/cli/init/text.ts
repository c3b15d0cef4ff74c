import type { Answers } from './answers.ts'

/** The paths that a configuration names. */
export interface Paths {
  readonly publisherKey: string
  readonly subscriberKey: string
  readonly history: string
}

/** The configuration with comments, in TOML. */
export function configurationText(answers: Answers, paths: Paths): string {
  const { listen, publicUrl, corsOrigins, issuer, isAnonymous, proxies, certificate } = answers
  return `# cinnabar check says everything that is wrong with this file, cinnabar config what is in effect and why.
# Every setting is in docs/configuration.md and in the manual page. A running hub reads the file again at SIGHUP.

# Where the hub listens.
listen = [${text(listen)}]

[hub]
# The origins that clients use; others are answered 421. Tokens are for the first of them (their aud).
public_urls = [${text(publicUrl)}]
# The origins of pages that may read, when they are not those of the hub.
${corsOrigins.length === 0 ? '# cors_origins = ["https://www.example.com"]' : `cors_origins = [${list(corsOrigins)}]`}
# Lets everybody read public updates without a token.
${isAnonymous ? '' : '# '}anonymous = true

# Who makes tokens: the application that knows the users. The id is the iss of its tokens.
[[issuers]]
id = ${text(issuer)}
publisher = { key_file = ${text(paths.publisherKey)}, algorithm = "HS256" }
subscriber = { key_file = ${text(paths.subscriberKey)}, algorithm = "HS256" }

# The history, which only the user of the hub can read.
[sqlite]
path = ${text(paths.history)}

# An update is dropped when it is over any of these limits. They are the defaults.
[history]
max_count = 100000
max_age = "24h"
max_bytes = "256MiB"

# Health and metrics, for this machine alone.
[admin]
# listen = "127.0.0.1:3001"

# The proxy whose word about the address and the origin of a request is believed, as the hub sees it.
[proxy]
${proxies.length === 0 ? '# trusted = ["127.0.0.1"]' : `trusted = [${list(proxies)}]`}
# The fields that it writes: a client could send the others.
${proxies.length === 0 ? '# ' : ''}fields = "x-forwarded"

# HTTPS without a proxy. The files are read again when they change.
[tls]
${certificate === null ? '# cert_file = "/etc/cinnabar/hub.crt"' : `cert_file = ${text(certificate.certFile)}`}
${certificate === null ? '# key_file = "/etc/cinnabar/hub.key"' : `key_file = ${text(certificate.keyFile)}`}
`
}

function list(words: readonly string[]): string {
  return words.map(text).join(', ')
}

/** A text of TOML is written as one of JSON. */
function text(word: string): string {
  return JSON.stringify(word)
}
