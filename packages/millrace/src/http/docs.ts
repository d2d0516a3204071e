/** `/docs`: the API as a page. Its assets come with the package, so it works without a network. */
import { fastifySwagger } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { OpenApiDocument } from './openapi.ts'
import { PAGE_POLICY } from './security/headers.ts'

/** Serves the page. */
export async function registerDocs(app: FastifyInstance, document: OpenApiDocument): Promise<void> {
  await app.register(fastifySwagger, {
    mode: 'static',
    // The page and its copies of the document are one step below the server.
    specification: { document: { ...document, servers: [{ url: '../' }] } as never },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // Assets are named relative to the page: a host may serve Millrace under a path of its own.
    indexPrefix: '.',
    // Not its own, which has `upgrade-insecure-requests`: loopback is served over plain HTTP.
    staticCSP: PAGE_POLICY,
    uiConfig: { docExpansion: 'list', deepLinking: true },
  })
}
