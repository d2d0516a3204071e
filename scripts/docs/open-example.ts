/** The app of examples/quickstart, opened without a disk, for the pages about what a server offers. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** An operation as the OpenAPI document describes it. */
export interface OpenApiOperation {
  readonly operationId: string
  /** The least scope of a key that may call it. */
  readonly 'x-millrace-scope': string
  readonly tags: readonly string[]
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required: boolean
    readonly description?: string
    readonly schema: Readonly<Record<string, unknown>>
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> }
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, unknown>> }>
  >
}

/** What the pages read of an opened Millrace. */
export interface Example {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>
  /** Streams by name, with their partitions. */
  readonly streams: ReadonlyMap<string, number>
  /** The text of `/metrics`. */
  readonly metrics: string
}

interface OpenedMillrace {
  readonly handler: (request: unknown, response: unknown) => void
  readonly server: { readonly document: { readonly paths: Example['paths'] } }
  readonly log: {
    stats(): {
      readonly streams: readonly {
        readonly stream: string
        readonly partitions: readonly unknown[]
      }[]
    }
  }
  close(): Promise<void>
}

/** Opens the app, reads what the pages need, closes it. */
export async function readExample(root: string): Promise<Example> {
  const load = (path: string): Promise<unknown> => import(pathToFileURL(join(root, path)).href)
  const { openMillrace } = (await load('packages/millrace/src/index.ts')) as {
    openMillrace(options: unknown): Promise<OpenedMillrace>
  }
  const { app } = (await load('examples/quickstart/app.ts')) as { app: unknown }
  const millrace = await openMillrace({ app, data: 'memory', logLevel: 'silent' })
  const server = createServer(millrace.handler)
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  // Counted requests show their labels only in the next answer.
  const read = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  await read()
  const metrics = await read()
  const streams = new Map(
    millrace.log.stats().streams.map(({ stream, partitions }) => [stream, partitions.length]),
  )
  server.closeAllConnections()
  await new Promise(done => server.close(done))
  await millrace.close()
  return { paths: millrace.server.document.paths, streams, metrics }
}
