/** The page at `/`: files of a folder. Paths that no file has answer with the page itself when a browser asks for HTML. */
import { fastifyStatic } from '@fastify/static'
import type { FastifyInstance } from 'fastify'

/** Serves a folder at `/`. */
export async function registerPage(app: FastifyInstance, directory: string): Promise<void> {
  await app.register(fastifyStatic, { root: directory, prefix: '/', wildcard: false })
}
