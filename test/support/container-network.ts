import { connect, createServer } from 'node:net'
import { type CertificateFiles, makeCertificate } from './certificates.ts'

/**
 * An authorization server in the network of some containers, as a hub in it would reach it. The hub is told to use a
 * proxy, which leads whatever name or address it asks for to a server on loopback: `http://keycloak:8080` and
 * `https://10.0.0.5` mean something without a network.
 */
export interface ContainerNetwork {
  /** What a hub in the network has in its environment. */
  readonly env: Readonly<Record<string, string>>
  /** The URLs that were asked for, oldest first. */
  readonly asked: readonly string[]
  close(): Promise<void>
}

/** Opens it. `folder`: for the certificate of `address`, which a hub with this environment trusts. */
export async function openContainerNetwork(
  folder: string,
  address: string,
  answer: (url: URL) => Response,
): Promise<ContainerNetwork> {
  const asked: string[] = []
  const fetch = (request: Request) => {
    asked.push(request.url)
    return answer(new URL(request.url))
  }
  const certificate = await makeCertificate(folder, 'issuer', [`IP:${address}`])
  const plain = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch })
  const secure = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch, tls: await pairOf(certificate) })
  const tunnel = await openTunnel(secure.port ?? 0)
  return {
    asked,
    env: {
      http_proxy: `http://127.0.0.1:${plain.port}`,
      https_proxy: `http://127.0.0.1:${tunnel.port}`,
      NODE_EXTRA_CA_CERTS: certificate.certFile,
    },
    close: async () => {
      await Promise.all([plain.stop(true), secure.stop(true)])
      tunnel.close()
    },
  }
}

async function pairOf({ certFile, keyFile }: CertificateFiles) {
  return { cert: await Bun.file(certFile).text(), key: await Bun.file(keyFile).text() }
}

/** Answers every CONNECT with a connection to the port (RFC 9110 9.3.6). */
async function openTunnel(to: number): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((client) => {
    client.on('error', () => client.destroy())
    client.once('data', () => {
      const upstream = connect({ host: '127.0.0.1', port: to }, () => {
        client.write('HTTP/1.1 200 Connected\r\n\r\n')
        client.pipe(upstream).pipe(client)
      })
      upstream.on('error', () => client.destroy())
    })
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', () => listening.resolve())
  await listening.promise
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: () => server.close(),
  }
}
