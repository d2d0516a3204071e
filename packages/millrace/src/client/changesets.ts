/** Changesets, for the servers and consoles of operators: the key is one of scope `admin`. */
import type { ChangesetView, DryRun, EntryView, PlanRequest, RunRequest } from '@millrace/product'
import type { Transport } from './transport.ts'

/** Changesets; refusals carry the codes of the server, such as CHANGESET_STALE. */
export interface ChangesetsClient {
  /** Says what is to change; nothing is changed. */
  plan(request: PlanRequest): Promise<ChangesetView>
  /** What would change, with `samples` of each action (default 5), and what stands in its way. */
  dryRun(id: string, options?: { readonly samples?: number }): Promise<DryRun>
  /** Approves the plan of this hash, as a second person. */
  approve(id: string, hash: string): Promise<ChangesetView>
  /** Begins; `get` says how far it is. */
  apply(id: string, request?: RunRequest): Promise<ChangesetView>
  undo(id: string, request?: RunRequest): Promise<ChangesetView>
  pause(id: string): Promise<ChangesetView>
  resume(id: string): Promise<ChangesetView>
  cancel(id: string): Promise<ChangesetView>
  get(id: string): Promise<ChangesetView>
  /** The newest first. */
  list(options?: { readonly state?: string; readonly limit?: number }): Promise<readonly ChangesetView[]> // prettier-ignore
  /** Every value that it changes, in order, with what became of it. */
  entries(id: string): AsyncIterable<EntryView>
}

const PAGE = 1000

/** Creates the part of a client that speaks of changesets. */
export function createChangesetsClient(transport: Transport): ChangesetsClient {
  const path = (id: string): string => `/v1/changesets/${encodeURIComponent(id)}`
  const read = async <T>(at: string, query: Readonly<Record<string, string | number | undefined>> = {}): Promise<T> => (await transport.send({ method: 'GET', path: at, query })).body as T // prettier-ignore
  // Every one of them may be sent again: what is so already is not done twice.
  const post = async (at: string, body: unknown, isIdempotent = true): Promise<ChangesetView> =>
    (await transport.send({ method: 'POST', path: at, body, isIdempotent })).body as ChangesetView
  return {
    plan: request => post('/v1/changesets', request, request.id !== undefined),
    dryRun: (id, query = {}) => read<DryRun>(`${path(id)}/dry-run`, { ...query }),
    approve: (id, hash) => post(`${path(id)}/approve`, { hash }),
    apply: (id, request = {}) => post(`${path(id)}/apply`, request),
    undo: (id, request = {}) => post(`${path(id)}/undo`, request),
    pause: id => post(`${path(id)}/pause`, {}),
    resume: id => post(`${path(id)}/resume`, {}),
    cancel: id => post(`${path(id)}/cancel`, {}),
    get: id => read<ChangesetView>(path(id)),
    async list(query = {}) {
      const { changesets } = await read<{ changesets: readonly ChangesetView[] }>('/v1/changesets', { ...query }) // prettier-ignore
      return changesets
    },
    async *entries(id) {
      for (let from: number | undefined = 0; from !== undefined;) {
        const page: { readonly entries: readonly EntryView[]; readonly next?: number } = await read(`${path(id)}/entries`, { from, limit: PAGE }) // prettier-ignore
        yield* page.entries
        from = page.next
      }
    },
  }
}
