/**
 * Who may call what: one function for the router and for paths in front of it.
 *
 * Until there is a key, everybody on loopback may do everything, except pages of other sites. From
 * then on every caller shows a key, wherever it calls from. The cost is a look at the Host header
 * before, a look-up of the Authorization header after; a header is hashed when it is new.
 */
import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Clock } from '@millrace/core'
import { ROUTE_SCOPES, type RouteScope } from '@millrace/product'
import { serverErrors } from '../../errors.ts'
import { checkCaller } from '../guard.ts'
import type { KeyBook } from './key-book.ts'
import { hashKeyText } from './key-text.ts'
import { ANY_ORIGIN, type Key } from './key-view.ts'

/** Who calls. */
export interface Caller {
  /** `key:<id>`; or, without a key, `local` (loopback before there are keys), `host` (a process that embeds the server), `operator` (a command on this machine), `nobody`. */
  readonly actor: string
  readonly scope: RouteScope
}

/** Lets callers in. */
export interface Gate {
  /** True until the first key is made: anybody who reaches the server is let in. */
  readonly isOpen: boolean
  /**
   * Who calls, if it may call a route of this scope. Throws HOST_REFUSED, ORIGIN_REFUSED,
   * KEY_MISSING, KEY_INVALID, KEY_SCOPE_TOO_SMALL, RATE_LIMITED. Call it once for a request: it
   * counts.
   */
  admit(request: IncomingMessage, scope: RouteScope): Caller
  /** True when some public key may be used by pages of the origin. */
  allowsOrigin(origin: string): boolean
  /** The request comes from a host process, which answers for where it comes from. */
  markHosted(request: IncomingMessage): void
}

/** What a gate stands on. */
export interface GatePorts {
  readonly keys: KeyBook
  readonly clock: Clock
  /** Lets commands of this machine in; undefined when there is no data directory to share it. */
  readonly operatorToken: string | undefined
}

/** A header that was verified. */
interface Verified {
  readonly caller: Caller
  readonly level: number
  /** Undefined for the operator. */
  readonly key: Key | undefined
  readonly untilMs: number
}

/** Verified headers in memory: only callers with a valid key add to them. */
const VERIFIED_MAX = 1000
const LEVELS = Object.fromEntries(ROUTE_SCOPES.map((scope, level) => [scope, level])) as Readonly<
  Record<RouteScope, number>
>
const LOCAL: Caller = { actor: 'local', scope: 'admin' }
const HOST: Caller = { actor: 'host', scope: 'admin' }
const OPERATOR: Caller = { actor: 'operator', scope: 'admin' }
const NOBODY: Caller = { actor: 'nobody', scope: 'open' }

/** Creates the gate of a server. */
export function createGate({ keys, clock, operatorToken }: GatePorts): Gate {
  const hosted = new WeakSet<IncomingMessage>()
  const verified = new Map<string, Verified>()
  const operatorHash = operatorToken === undefined ? undefined : hashKeyText(operatorToken)
  keys.onChange(() => verified.clear())

  const verify = (header: string): Verified => {
    const text = /^Bearer +([^\s]+)$/i.exec(header)?.[1]
    if (text === undefined) {
      throw serverErrors.create('KEY_INVALID', { reason: 'it is not sent as Bearer' })
    }
    const found = verifyText(text)
    if (verified.size >= VERIFIED_MAX) verified.clear()
    verified.set(header, found)
    return found
  }
  const verifyText = (text: string): Verified => {
    if (operatorHash !== undefined && timingSafeEqual(operatorHash, hashKeyText(text))) {
      return { caller: OPERATOR, level: LEVELS.admin, key: undefined, untilMs: Infinity }
    }
    const { key, untilMs } = keys.find(text)
    const caller = { actor: `key:${key.id}`, scope: key.scope }
    return { caller, level: LEVELS[key.scope], key, untilMs }
  }

  return {
    get isOpen() {
      return keys.isEmpty
    },
    allowsOrigin: origin => keys.hasOrigin(origin),
    markHosted: request => void hosted.add(request),
    admit(request, scope) {
      if (keys.isEmpty) {
        if (hosted.has(request)) return HOST
        checkCaller(request)
        return LOCAL
      }
      if (scope === 'open') return NOBODY
      const { authorization, origin } = request.headers
      if (authorization === undefined) throw serverErrors.create('KEY_MISSING')
      const nowMs = clock.nowMs()
      const known = verified.get(authorization)
      const { caller, level, key } =
        known !== undefined && known.untilMs > nowMs ? known : verify(authorization)
      if (key === undefined) return caller
      if (key.scope === 'public') checkOrigin(key, origin)
      const waitMs = key.bucket?.take(clock.monotonicMs()) ?? 0
      if (waitMs > 0) throw rateLimited(key, waitMs)
      keys.use(key, nowMs)
      if (level >= LEVELS[scope]) return caller
      const details = { actor: caller.actor, scope: caller.scope, needed: scope }
      throw serverErrors.create('KEY_SCOPE_TOO_SMALL', details)
    },
  }
}

function checkOrigin(key: Key, origin: string | undefined): void {
  const { origins } = key
  if (origin !== undefined && origins.includes(origin)) return
  if (origins.includes(ANY_ORIGIN)) return
  throw serverErrors.create('ORIGIN_REFUSED', { origin: (origin ?? 'none').slice(0, 100) })
}

function rateLimited(key: Key, retryAfterMs: number): Error {
  const { requestsPerSecond } = key.limit as { requestsPerSecond: number }
  return serverErrors.create('RATE_LIMITED', { key: key.id, requestsPerSecond, retryAfterMs })
}
