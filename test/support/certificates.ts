import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'

/** Self-signed certificates, made when a test needs them. */

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
  /** The flags of the hub that name them. */
  readonly flags: readonly string[]
}

/** A folder of its own for certificates and configuration files. */
export async function temporaryFolder(): Promise<{ readonly path: string; dispose(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'cinnabar-files-'))
  return { path, dispose: () => rm(path, { recursive: true, force: true }) }
}

const localhost = ['DNS:localhost', 'IP:127.0.0.1']

/**
 * Makes a certificate and its key in the folder, over those of the same name. By default it is for localhost;
 * other subjects are written as openssl does, `DNS:*.example.com`.
 */
export async function makeCertificate(
  folder: string,
  name = 'hub',
  subjects: readonly string[] = localhost,
): Promise<CertificateFiles> {
  const certFile = join(folder, `${name}.crt`)
  const keyFile = join(folder, `${name}.key`)
  const made = Bun.spawn(
    [
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-days', '2', '-subj', '/CN=localhost', '-addext', `subjectAltName=${subjects.join(',')}`],
      ...['-keyout', `${keyFile}.new`, '-out', `${certFile}.new`],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  if ((await made.exited) !== 0) throw new Error(await new Response(made.stderr).text())
  await rename(`${certFile}.new`, certFile)
  await rename(`${keyFile}.new`, keyFile)
  return { certFile, keyFile, flags: ['--tls-cert-file', certFile, '--tls-key-file', keyFile] }
}

/** The fingerprint of the certificate that a new connection is shown. */
export async function shownFingerprint(origin: string): Promise<string> {
  const { hostname, port } = new URL(origin)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () =>
    resolve(socket.getPeerCertificate().fingerprint256),
  )
  socket.on('error', reject)
  return await promise.finally(() => socket.destroy())
}
