/** What the tour asks of the server: the routes that everyone uses, and two of the demo's own. */
import { fetchSlate, fetchTrending, query, request, type SlateItem } from '../../api.ts'

const CHANGESETS = '/v1/changesets'
const BEHIND = 50
const TRENDING_LOOKED_AT = 50
const TRENDING_TRIES = 20
const TRENDING_PAUSE_MS = 500

/** The ring of bots that the demo let in. */
export interface Ring {
  readonly bots: readonly string[]
  readonly clips: readonly string[]
  readonly events: number
}

/** An event behind a trending clip. */
export interface EventBehind {
  readonly id: string
  readonly person?: string
  readonly type: string
  readonly atMs: number
  readonly corrected?: string
}

/** A changeset, as far as the tour shows it. */
export interface Changeset {
  readonly id: string
  readonly state: string
  readonly effects: number
  readonly applied: number
  readonly run?: { readonly processed: number; readonly total: number; readonly hasEnded: boolean }
}

/** What a changeset would change. */
export interface DryRun extends Changeset {
  readonly consequences: readonly {
    readonly what: string
    readonly count: number
    readonly samples?: readonly string[]
  }[]
}

/** What a changed rule would have brought. */
export interface Prediction {
  readonly rule: string
  readonly answers: number
  readonly different: number
  /** Shares of slots; null while the log has too few answers. */
  readonly predicted: { readonly value: number; readonly low: number; readonly high: number } | null
  readonly truth: number
}

async function send<T>(path: string, body: unknown): Promise<T> {
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
  return (await request<T>(path, init)).body
}

/** Lets the ring play its clips; resolves when its events are durable. */
export const letRingIn = (): Promise<Ring> => send('/v1/demo/ring', {})

/** The newest events behind the clip of the ring that trends most, as an answer of now knows them. */
export async function askWhy(
  ring: Ring,
  person: string,
): Promise<{ readonly item: SlateItem; readonly events: readonly EventBehind[] }> {
  const item = await trendingOf(ring)
  const { body } = await fetchSlate({ surface: 'home', person, n: 30 })
  const search = query({ item: `clip/${item.id}`, stage: 'trending', limit: BEHIND })
  const { body: behind } = await request<{ events: readonly EventBehind[] }>(`/v1/answers/${body.answerId}/events?${search}`) // prettier-ignore
  return { item, events: behind.events }
}

/** What trends is made anew now and then: a ring that came a moment ago is waited for. */
async function trendingOf({ clips }: Ring): Promise<SlateItem> {
  for (let tries = 0; tries < TRENDING_TRIES; tries++) {
    if (tries > 0) await new Promise(resolve => setTimeout(resolve, TRENDING_PAUSE_MS))
    const found = (await fetchTrending('clip', TRENDING_LOOKED_AT)).find(({ id }) => clips.includes(id)) // prettier-ignore
    if (found !== undefined) return found
  }
  throw new Error('None of their clips trends: they were taken back, or others are played more.')
}

/** Plans the retraction of what the ring did, and says what it would change. */
export async function planRetraction({ bots }: Ring): Promise<DryRun> {
  const select = { do: 'retract', query: { stream: 'person', types: ['watched'], keys: bots } }
  const planned = await send<Changeset>(CHANGESETS, { kind: 'corrections', title: 'a ring of bots', request: select }) // prettier-ignore
  return (await request<DryRun>(`${CHANGESETS}/${planned.id}/dry-run`)).body
}

export const run = (id: string, verb: 'apply' | 'undo'): Promise<Changeset> =>
  send(`${CHANGESETS}/${id}/${verb}`, {})

/** How far a changeset is. */
export const fetchChangeset = async (id: string): Promise<Changeset> =>
  (await request<Changeset>(`${CHANGESETS}/${id}`)).body

/** Answers the demo's requests again by another rule. */
export const predict = (): Promise<Prediction> => send('/v1/demo/backtest', {})
