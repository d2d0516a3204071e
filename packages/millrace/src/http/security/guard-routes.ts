/**
 * Puts the gate before every route that a server has, those of plugins included: a route is in the
 * list with the scope that it asks for, or the server does not start.
 */
import { invariant, isError } from '@millrace/core'
import type { RouteScope } from '@millrace/product'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, Gate } from './gate.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls; set before the body is read. */
    caller: Caller
  }
  interface FastifyContextConfig {
    /** The least scope that may call the route. */
    scope?: RouteScope
    /** The id of the operation. */
    operation?: string
  }
}

/** A route as the router has it. */
export interface GuardedRoute {
  readonly method: string
  readonly path: string
  readonly scope: RouteScope
}

/** What keeps the routes. */
export interface RouteGuard {
  /** All routes, once they are registered. Throws INVARIANT_BROKEN for one that says no scope. */
  seal(): readonly GuardedRoute[]
}

type Check = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void

/** Guards the routes that are registered from now on; `onRefused` hears of codes. */
export function guardRoutes(
  app: FastifyInstance,
  gate: Gate,
  onRefused: (code: string) => void,
): RouteGuard {
  const registered: { method: string; path: string; scope(): RouteScope | undefined }[] = []
  const checks = new Set<unknown>()
  app.decorateRequest('caller')
  app.addHook('onRoute', route => {
    const methods = Array.isArray(route.method) ? route.method : [route.method]
    // A plugin may say its scope in a hook that runs after this one.
    const scope = (): RouteScope | undefined => route.config?.scope
    for (const method of methods) registered.push({ method, path: route.url, scope })
    const hooks = route.onRequest === undefined ? [] : [route.onRequest].flat()
    // A HEAD that is made from a GET brings its check along; a request is counted once.
    if (hooks.some(hook => checks.has(hook))) return
    let needed: RouteScope | undefined
    const check: Check = (request, _reply, done) => {
      try {
        needed ??= scopeOf(scope(), route.url)
        request.caller = gate.admit(request.raw, needed)
      } catch (error) {
        if (isError(error)) onRefused(error.code)
        return done(error as Error)
      }
      done()
    }
    checks.add(check)
    route.onRequest = [check, ...hooks] as typeof route.onRequest
  })
  return {
    seal: () =>
      registered.map(({ method, path, scope }) => ({
        method,
        path,
        scope: scopeOf(scope(), path),
      })),
  }
}

function scopeOf(scope: RouteScope | undefined, path: string): RouteScope {
  invariant(scope !== undefined, `the route ${path} does not say who may call it`)
  return scope
}

/** Lets everybody read what is registered from now on: documents and the files of a page. */
export function openToAll(app: FastifyInstance): void {
  app.addHook('onRoute', route => {
    route.config = { ...route.config, scope: 'open' }
  })
}
