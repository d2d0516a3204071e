/**
 * What is refused before a route is looked for. A page of another site can make a browser on this
 * machine send requests to loopback: by a name that it points at 127.0.0.1 (DNS rebinding: the
 * Host header tells) or straight (the Origin header tells).
 */
import type { IncomingMessage } from 'node:http'
import { serverErrors } from '../errors.ts'

const LOOPBACK_NAME = /^(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i

/** True for a Host header (or an authority) that names this machine. */
export function isLoopbackAuthority(authority: string): boolean {
  return LOOPBACK_NAME.test(authority)
}

/** True for an address that only this machine can reach. */
export function isLoopbackAddress(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** Throws HOST_REFUSED or ORIGIN_REFUSED for a request that a page of another site may have caused. */
export function checkCaller(request: IncomingMessage): void {
  const { host, origin } = request.headers
  if (host === undefined || !isLoopbackAuthority(host)) {
    throw serverErrors.create('HOST_REFUSED', { host: (host ?? 'none').slice(0, 100) })
  }
  if (origin === undefined || request.method === 'GET' || request.method === 'HEAD') return
  const authority = /^https?:\/\/(.+)$/.exec(origin)?.[1]
  if (authority === undefined || !isLoopbackAuthority(authority)) {
    throw serverErrors.create('ORIGIN_REFUSED', { origin: origin.slice(0, 100) })
  }
}
