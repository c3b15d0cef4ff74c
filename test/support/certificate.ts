import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate that signs itself and its key, as PEM files in a folder of their own. */
export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
  /** The certificate as PEM, for clients that are to trust it. */
  readonly pem: string
  dispose(): Promise<void>
}

/** Makes one with openssl for the names, such as `*.example.com`. */
export async function makeCertificate(names: readonly string[]): Promise<Certificate> {
  const directory = await mkdtemp(join(tmpdir(), 'cinnabar-certificate-'))
  const certFile = join(directory, 'cert.pem')
  const keyFile = join(directory, 'key.pem')
  const alternatives = names.map((name) => `DNS:${name}`).join(',')
  const child = Bun.spawn(
    [
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-days', '2', '-subj', '/CN=test', '-addext', `subjectAltName=${alternatives}`],
      ...['-keyout', keyFile, '-out', certFile],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text())
  return {
    certFile,
    keyFile,
    pem: await Bun.file(certFile).text(),
    dispose: () => rm(directory, { recursive: true, force: true }),
  }
}
