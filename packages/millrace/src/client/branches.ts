/** Branches, for the servers and consoles of operators: the key is one of scope `admin`. */
import type { Transport } from './transport.ts'

/** What is to be otherwise in a branch. */
export interface OpenBranchRequest {
  /** A position of an earlier answer, or a time of arrival; default: now. */
  readonly at?: string | number
  readonly corrections?: readonly {
    readonly id: string
    /** Default: `retract`. */
    readonly do?: 'retract' | 'hold' | 'correct' | 'restore'
    /** With `correct`: what is folded in place of the data. */
    readonly data?: unknown
  }[]
  /** Events that did not happen, as they would be sent. */
  readonly events?: readonly {
    readonly type: string
    readonly id?: string
    readonly at?: string | number
    readonly data: unknown
  }[]
  /** Items that are otherwise: with these attributes, or, with null, removed. */
  readonly items?: readonly {
    readonly kind: string
    readonly id: string
    readonly attributes: Readonly<Record<string, unknown>> | null
  }[]
  /** People who are others: merged into another one, or, without `into`, themselves again. */
  readonly identities?: readonly { readonly from: string; readonly into?: string }[]
  /** Another definition: a file beside that of the app (not with a key), values of surfaces by path. */
  readonly definition?: {
    readonly file?: string
    readonly settings?: Readonly<Record<string, unknown>>
  }
  readonly limits?: { readonly records?: number; readonly bytes?: number }
  /** It is thrown away when nobody asked it anything for so long. Default: 15 minutes. */
  readonly idleMs?: number
}

/** A branch as the server tells it. */
export interface BranchAnswer {
  readonly id: string
  /** Where it leaves the live world, as a position. */
  readonly at: string
  readonly expiresInMs: number
  /** What became of the corrections; absent from `open` and `list` where they were not looked for yet: see `get`. */
  readonly results?: {
    readonly corrected: number
    readonly unchanged: number
    readonly refused: readonly { readonly id: string; readonly reason: string }[]
  }
  /** What of its definition is not what is served; absent where it has none. */
  readonly definition?: {
    readonly fingerprint: string
    /** Folds that compute otherwise. */
    readonly folds: readonly string[]
    readonly surfaces: readonly string[]
    /** Folds that only it has, and that it has no more. */
    readonly added: readonly string[]
    readonly removed: readonly string[]
  }
  /** What reading all that differs would cost, but for what follows from emissions. */
  readonly estimate: { readonly keys: number; readonly records: number; readonly bytes: number }
  readonly overlay: { readonly keys: number; readonly bytes: number }
}

/** A field that is not the same; personal values are masked. */
export interface BranchDifference {
  readonly view: string
  readonly key: string
  /** Empty for the value itself. */
  readonly field: string
  readonly before?: unknown
  readonly after?: unknown
}

/** How a view differs. */
export interface BranchViewDifferences {
  readonly view: string
  /** Keys that can differ. */
  readonly keys: number
  readonly changed: number
  readonly added: number
  readonly removed: number
  readonly fields: Readonly<Record<string, number>>
  readonly samples: readonly BranchDifference[]
}

/** An item of what a surface would answer. */
export interface BranchItem {
  readonly kind: string
  readonly id: string
  readonly slot: number
  readonly score: number
  readonly source: string
  /** Its slot without the changes; absent for none. */
  readonly slotBefore?: number
  readonly attributes?: Readonly<Record<string, unknown>>
  readonly reasons?: readonly string[]
}

/** What a surface would answer. */
export interface BranchSurfaceAnswer {
  readonly surface: string
  readonly person?: string
  readonly items: readonly BranchItem[]
  /** Items that are there only without the changes, with the slots that they have there. */
  readonly gone: readonly { readonly kind: string; readonly id: string; readonly slot: number }[]
  /** Slots that hold another item. */
  readonly different: number
  readonly isColdStart: boolean
  readonly isIncomplete: boolean
}

/** Branches; refusals carry the codes of the server, such as BRANCH_TOO_LARGE. */
export interface BranchesClient {
  open(request: OpenBranchRequest): Promise<BranchAnswer>
  get(id: string): Promise<BranchAnswer>
  list(): Promise<readonly BranchAnswer[]>
  /** The value of a key there; null when it has nothing. */
  read(id: string, view: string, key: string): Promise<unknown>
  /** With `samples` of each view (default 20). */
  differences(
    id: string,
    options?: { readonly view?: string; readonly samples?: number },
  ): Promise<readonly BranchViewDifferences[]>
  /** What a surface would answer there, beside what it answers without the changes. */
  recommend(
    id: string,
    surface: string,
    options?: { readonly person?: string; readonly n?: number; readonly item?: string },
  ): Promise<BranchSurfaceAnswer>
  /** Throws it away. */
  close(id: string): Promise<void>
}

/** Creates the part of a client that speaks of branches. */
export function createBranchesClient(transport: Transport): BranchesClient {
  const path = (id: string): string => `/v1/branches/${encodeURIComponent(id)}`
  const read = async <T>(at: string, query: Readonly<Record<string, string | number | undefined>> = {}): Promise<T> => (await transport.send({ method: 'GET', path: at, query })).body as T // prettier-ignore
  return {
    async open(body) {
      const request = { method: 'POST' as const, path: '/v1/branches', body, isIdempotent: false }
      return (await transport.send(request)).body as BranchAnswer
    },
    get: id => read<BranchAnswer>(path(id)),
    async list() {
      return (await read<{ branches: readonly BranchAnswer[] }>('/v1/branches')).branches
    },
    async read(id, view, key) {
      const place = `${path(id)}/views/${encodeURIComponent(view)}/${encodeURIComponent(key)}`
      return (await read<{ value: unknown }>(place)).value
    },
    async differences(id, query = {}) {
      const place = `${path(id)}/differences`
      return (await read<{ views: readonly BranchViewDifferences[] }>(place, { ...query })).views
    },
    async recommend(id, surface, query = {}) {
      const place = `${path(id)}/surfaces/${encodeURIComponent(surface)}/recommendations`
      return await read<BranchSurfaceAnswer>(place, { ...query })
    },
    async close(id) {
      await transport.send({ method: 'DELETE', path: path(id), isIdempotent: true })
    },
  }
}
