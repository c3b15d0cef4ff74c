import { issuersSetting, type RunIssuer } from '../client/issuer.ts'
import type { HubConfiguration } from './configurations.ts'
import type { HistoryFolder } from './folder.ts'

/** The arguments of `serve`: the flags of the configuration, then those that the run decides. */
export function serveFlags(configuration: HubConfiguration, folder: HistoryFolder, issuer: RunIssuer) {
  return [
    // Only the configuration `yours` reads the file in this folder.
    ...(configuration.readsEnvironment ? [] : ['--config', '']),
    ...configuration.flags,
    ...['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--hub-path', HUB_PATH],
    ...['--issuers', issuersSetting(issuer, { key_file: folder.pathOf(KEY_FILE) })],
    ...['--hub-resource-identifier', issuer.audience, '--hub-public-urls', '', '--tls-cert-file', ''],
    ...['--tls-key-file', '', '--no-http3', '--sqlite-path', folder.pathOf(`${configuration.name}.db`)],
    ...['--log-format', 'json', '--log-level', 'info'],
  ]
}

export const HUB_PATH = '/.well-known/mercure'

/** The file of the folder with the secret of the issuer. */
export const KEY_FILE = 'key'
