/**
 * TLS by files, as certificate tools write them: read at the start, and again when they changed, so
 * that a renewed certificate needs no restart.
 */
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { Clock, Logger, Timer } from '@millrace/core'
import type { Limits } from '../../config.ts'
import { serverErrors } from '../../errors.ts'

/** Certificate chain and private key, as PEM text. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Where they are. */
export interface TlsFiles {
  /** Path of the certificate chain; empty for plain HTTP. */
  readonly tlsCert: string
  readonly tlsKey: string
}

const LOOK_EVERY_MS = 60_000

/** Reads a certificate; undefined when none is configured. Throws CONFIG_INVALID. */
export async function readCertificate(files: TlsFiles): Promise<Certificate | undefined> {
  const { tlsCert, tlsKey } = files
  if (tlsCert === '' && tlsKey === '') return undefined
  const refuse = (name: string, reason: string, cause?: unknown): never => {
    throw serverErrors.create('CONFIG_INVALID', { name, reason }, cause)
  }
  if (tlsCert === '') return refuse('tlsCert', 'tlsKey needs the certificate beside it')
  if (tlsKey === '') return refuse('tlsKey', 'tlsCert needs the private key beside it')
  const read = async (name: string, path: string): Promise<string> =>
    readFile(path, 'utf8').catch((error: unknown) => refuse(name, reasonOf(error), error))
  const certificate = { cert: await read('tlsCert', tlsCert), key: await read('tlsKey', tlsKey) }
  try {
    createSecureContext(certificate)
  } catch (error) {
    refuse('tlsCert', `it does not go with tlsKey: ${reasonOf(error)}`, error)
  }
  return certificate
}

/** Gives a server the certificate of its files whenever they changed; returns how to stop. */
export function renewCertificate(
  server: Server,
  files: TlsFiles,
  ports: { readonly clock: Clock; readonly logger: Logger },
): () => void {
  let current: string | undefined
  let timer: Timer | undefined
  let isStopped = false
  const look = async (): Promise<void> => {
    try {
      const certificate = await readCertificate(files)
      const text = JSON.stringify(certificate)
      if (certificate !== undefined && current !== undefined && text !== current) {
        server.setSecureContext(certificate)
        ports.logger.info('the certificate was renewed', { file: files.tlsCert })
      }
      current = text
    } catch (error) {
      // Half-written files are whole a moment later; the certificate before serves meanwhile.
      ports.logger.warn('the certificate cannot be read', { reason: reasonOf(error) })
    }
    if (!isStopped) timer = ports.clock.after(LOOK_EVERY_MS, () => void look())
  }
  void look()
  return () => {
    isStopped = true
    timer?.cancel()
  }
}

/** A way in for the commands of this machine. */
export interface LocalDoor {
  readonly url: string
  close(): void
}

/**
 * Serves the same requests without TLS on a free port of loopback: a command on this machine need
 * not know, nor trust, the certificate that is made for the server's name.
 */
export async function openLocalDoor(
  listener: RequestListener,
  { headersTimeoutMs, requestTimeoutMs, headerBytesMax }: Limits,
  onBroken: (error: Error, socket: Socket) => void,
): Promise<LocalDoor> {
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      maxHeaderSize: headerBytesMax,
    },
    listener,
  )
  server.on('clientError', (error, socket) => onBroken(error, socket as Socket))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    close() {
      server.close()
      server.closeIdleConnections()
    },
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
