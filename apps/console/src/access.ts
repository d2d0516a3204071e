/**
 * The key of this tab, for servers that have keys. It is kept in the tab's session storage: unlike a
 * cookie it is sent by nobody but this page, to no other port of the machine, and ends with the tab.
 * The page's policy lets no script in but its own (docs/keys.md).
 */
import { useSyncExternalStore } from 'react'

const NAME = 'millrace.key'

/** Whether the page may ask, and if not, why. */
export interface Access {
  readonly key: string | undefined
  /** Why the server wants a key, or another one; undefined while it answers. */
  readonly refusal: string | undefined
}

let access: Access = { key: sessionStorage.getItem(NAME) ?? undefined, refusal: undefined }
const listeners = new Set<() => void>()

function change(next: Access): void {
  access = next
  for (const listener of listeners) listener()
}

/** The state of access, followed. */
export function useAccess(): Access {
  return useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => access,
  )
}

/** Uses a key from now on. */
export function signIn(key: string): void {
  sessionStorage.setItem(NAME, key)
  change({ key, refusal: undefined })
}

/** Forgets the key. */
export function signOut(): void {
  sessionStorage.removeItem(NAME)
  change({ key: undefined, refusal: 'You signed out.' })
}

/** `fetch` with the key; the page asks for one when the server refuses what it was shown. */
export async function fetchAllowed(path: string, init: RequestInit = {}): Promise<Response> {
  const { key } = access
  const headers = new Headers(init.headers)
  for (const [name, value] of Object.entries(bearer(key))) headers.set(name, value)
  const response = await fetch(path, { ...init, headers })
  const isRefused = response.status === 401 || response.status === 403
  if (isRefused && key === access.key) change({ key, refusal: await reasonOf(response.clone()) })
  return response
}

/** Why the server does not take the key; undefined when it does. */
export async function refusalOf(key: string): Promise<string | undefined> {
  const response = await fetch('/v1/views', { headers: bearer(key) })
  return response.ok ? undefined : reasonOf(response)
}

function bearer(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { authorization: `Bearer ${key}` }
}

async function reasonOf(response: Response): Promise<string> {
  const { detail } = (await response.json().catch(() => ({}))) as { readonly detail?: string }
  return detail ?? `HTTP ${response.status}`
}
