/**
 * What the page asks the server, over the same HTTP routes that everyone uses. Shapes are those of
 * `/openapi.json`; the page reads only what it shows.
 */

import { fetchAllowed } from './access.ts'

/** A recommended item as the server gives it with `explain`. */
export interface SlateItem {
  readonly id: string
  readonly kind: string
  readonly attributes?: Readonly<Record<string, unknown>>
  readonly score?: number
  readonly source?: string
  readonly reasons?: readonly string[]
  readonly propensity?: number
  readonly isExplored?: boolean
}

/** An answer of a surface. */
export interface Slate {
  readonly answerId: string
  readonly items: readonly SlateItem[]
  readonly explanation?: {
    /** What the person did last, newest first, as far as it was used. */
    readonly history: readonly { readonly id: string; readonly title: string }[]
  }
}

/** Someone of the demo's audience, with what the simulator knows and the product does not. */
export interface FeaturedPerson {
  readonly id: string
  readonly name: string
  readonly country?: string
  readonly isNew: boolean
  readonly isHeld: boolean
  readonly tastes: readonly { readonly topic: string; readonly weight: number }[]
  readonly recent: readonly {
    readonly title: string
    readonly verb: string
    readonly atMs: number
  }[]
}

/** What went wrong, in the words of the server. */
export class RequestFailed extends Error {
  override name = 'RequestFailed'
  /** The stable code of what was refused; empty when nobody answered. */
  readonly code: string

  constructor(message: string, code = '') {
    super(message)
    this.code = code
  }
}

/** Refusals that say that there was nothing at a time. */
const NOTHING_THEN: ReadonlySet<string> = new Set(['PERSON_UNKNOWN', 'MOMENT_EMPTY'])

interface Problem {
  readonly detail?: string
  readonly title?: string
  readonly code?: string
}

interface Answered<T> {
  readonly body: T
  /** The log position that the answer reflects. */
  readonly position: string
}

/** What to tell the reader of an error. */
export function reasonText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Asks the server; fails with what it says is wrong. */
export async function request<T>(path: string, init?: RequestInit): Promise<Answered<T>> {
  const response = await fetchAllowed(path, init).catch((): never => {
    throw new RequestFailed('The server does not answer.')
  })
  const body = (await response.json()) as T & Problem
  if (!response.ok) {
    throw new RequestFailed(body.detail ?? body.title ?? `HTTP ${response.status}`, body.code)
  }
  return { body, position: response.headers.get('millrace-position') ?? '' }
}

/** The part of an address behind the question mark. */
export const query = (values: Readonly<Record<string, string | number | undefined>>): string => {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== '') search.set(name, String(value))
  }
  return search.toString()
}

/** The list of one surface for one person; waits until it reflects `atLeast`. */
export async function fetchSlate(options: {
  surface: string
  person: string
  n: number
  atLeast?: string
}): Promise<Answered<Slate>> {
  const { surface, ...rest } = options
  return request<Slate>(
    `/v1/surfaces/${surface}/recommendations?${query({ ...rest, explain: 'true', timeoutMs: rest.atLeast === undefined ? undefined : 2000 })}`,
  )
}

/** What was known of a person. */
export interface PastPerson {
  readonly signals: number
  readonly interests: readonly {
    readonly kind: string
    readonly id: string
    readonly title: string
  }[]
}

/** An answer that was given before. */
export interface PastAnswer {
  readonly atMs: number
  readonly items: readonly { readonly kind: string; readonly id: string; readonly title: string }[]
}

/** What was known of a person at a time, and the list that they were given last by then; undefined where there was nothing. */
export async function fetchPersonAt(
  id: string,
  atMs: number,
): Promise<{ readonly person: PastPerson | undefined; readonly answer: PastAnswer | undefined }> {
  const [person, answer] = await Promise.all([
    request<PastPerson>(`${pathOfPerson(id)}?${query({ at: atMs })}`).then(
      answered => answered.body,
      (error: unknown) => {
        if (error instanceof RequestFailed && NOTHING_THEN.has(error.code)) return undefined
        throw error
      },
    ),
    fetchLastAnswer(id, atMs),
  ])
  return { person, answer }
}

/** The list that a person was given last by a time, or of all; undefined where there was none. */
export async function fetchLastAnswer(id: string, atMs?: number): Promise<PastAnswer | undefined> {
  const { body } = await request<{ answers: readonly PastAnswer[] }>(
    `${pathOfPerson(id)}/answers?${query({ at: atMs, limit: 1 })}`,
  )
  return body.answers[0]
}

const pathOfPerson = (id: string): string => `/v1/people/${encodeURIComponent(id)}`

/** Something that changed what is known of a person. */
export interface Cause {
  readonly kind: string
  readonly name: string
  /** Events that it is about. */
  readonly records?: number
  readonly effects: readonly { readonly field: string; readonly amount?: number }[]
}

/** What changed of a person since a time, the largest share first. */
export async function fetchCausesSince(id: string, fromMs: number): Promise<readonly Cause[]> {
  const path = `/v1/people/${encodeURIComponent(id)}/causes?${query({ from: fromMs })}`
  return (await request<{ causes: readonly Cause[] }>(path)).body.causes
}

/** What is trending among the items of a kind. */
export async function fetchTrending(kind: string, n: number): Promise<readonly SlateItem[]> {
  return (await request<{ items: readonly SlateItem[] }>(`/v1/trending?${query({ kind, n })}`)).body
    .items
}

/** The featured part of the demo's audience; empty when this server is not the demo. */
export async function fetchAudience(): Promise<readonly FeaturedPerson[]> {
  return (await request<{ people: readonly FeaturedPerson[] }>('/v1/demo/people')).body.people
}

/** Stops (or resumes) what the simulator does in someone's name, so that the reader acts alone. */
export async function holdPerson(id: string, isHeld: boolean): Promise<void> {
  await request(`/v1/demo/people/${encodeURIComponent(id)}/hold`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ isHeld }),
  })
}

/** Sends an event; resolves, when it is durable, to the position that contains it. */
export async function sendEvent(
  type: string,
  data: Readonly<Record<string, unknown>>,
): Promise<string> {
  const answered = await request<unknown>('/v1/events', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type, data }),
  })
  return answered.position
}
