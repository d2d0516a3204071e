/**
 * The contract by which a module plugs into the product: ours and a team's own alike. A module is
 * its definition (events, streams, folds, commands) and, once opened, its routes and metrics.
 * Modules do not call each other, except along declared edges; they talk by events.
 */
import type {
  App,
  Clock,
  ErrorRegistry,
  EventDefinition,
  JsonSchema,
  Logger,
  Position,
  Random,
} from '@millrace/core'
import type { EventLog, StreamSpec } from '@millrace/log'
import type { FoldDefinition, Streams } from '@millrace/streams'

/** What keeps people's data apart, so that it can be made unreadable. */
export interface Privacy {
  /** Refuses events that name these people from now on; resolves when none that was taken before is on its way. */
  shut(people: readonly string[]): Promise<void>
  /** Writes snapshots anew, and destroys the keys of people and of the snapshots before; may be called again. */
  destroy(people: readonly string[]): Promise<void>
  /** Hears that another process has destroyed keys. */
  follow(people: readonly string[]): Promise<void>
  /** People whose keys were destroyed. */
  destroyed(): Iterable<string>
  /** True for somebody who was erased, or is being erased. */
  isErased(person: string): boolean
  /** The other processes that share the log; absent where there is one. */
  readonly peers?: Peers
  /** Removes what this machine keeps beside the log of what views said. */
  tidy(): Promise<void>
  /** What stays readable where the log is kept, and beside it on this machine. */
  remains(): Promise<
    readonly { readonly what: string; readonly count?: number; readonly remedy: string }[]
  >
}

/** The processes that share a log. */
export interface Peers {
  /** The name of this one; another one after it was taken for dead. */
  own(): string
  /** The names of the others that take part now. */
  others(): Promise<readonly string[]>
  /** Resolves when this process knows all that was durable at the call. */
  refresh(): Promise<void>
}

/** What a module is opened with. */
export interface ModuleContext {
  /** Keys of people, and the doors of the log. Absent where a module is opened by itself. */
  readonly privacy?: Privacy
  readonly app: App
  readonly log: EventLog
  readonly streams: Streams
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Makes event ids that sort by time. */
  readonly newId: () => string
  /** Secret of this data directory, for signing tokens (32 bytes). */
  readonly secret: Uint8Array
  /** True while this process is the one, of all that share the log, that carries out what is known under `name`. Absent: there is one process. */
  readonly leads?: (name: string) => boolean
  /** The opened modules that this one declared in `uses`, by name. */
  readonly modules: ReadonlyMap<string, ModuleInstance>
}

/** A request as a route sees it: validated against the route's schemas. */
export interface RouteRequest {
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
  readonly body: unknown
  /** Who calls, as the audit names them: `key:<id>`, `operator`, `local`, `host`. Absent where nobody was asked. */
  readonly actor?: string
}

/** What a route answers. */
export interface RouteAnswer {
  /** Default 200. */
  readonly status?: number
  readonly body: unknown
  /**
   * In place of `body`: JSON in UTF-8 that fits the schema of the response, sent as it is. A text of
   * one character for each byte (latin1), so that it is written together with the head.
   */
  readonly bytes?: string
  /** The position that the answer reflects; sent as the header `millrace-position`. Default: what all folds reflect. */
  readonly position?: Position
}

/**
 * The least that a caller of a route must show: a key of that scope or of a greater one. `public` is
 * for browsers, whose key everybody can read: nothing that such a route answers may be a secret.
 * `open` routes need no key and tell nothing about the data.
 */
export type RouteScope = 'open' | 'public' | 'server' | 'admin'

/** All scopes, the least first: each key may call what the keys before it may. */
export const ROUTE_SCOPES: readonly RouteScope[] = ['open', 'public', 'server', 'admin']

/** An HTTP operation. All schemas are JSON Schema 2020-12 and appear in `/openapi.json`. */
export interface RouteDefinition {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `/v1/...`, parameters as `:name`. */
  readonly path: string
  /** Operation id, camel case, unique: names the method in generated clients. */
  readonly operation: string
  /** Who may call it: `server` for what the product's own servers do, `admin` for what operators do; what an `admin` route changes is recorded as an act. */
  readonly scope: RouteScope
  readonly summary: string
  readonly description?: string
  readonly params?: JsonSchema
  /** Query parameters; values arrive converted to the schema's types. Every GET also takes `atLeast` (a position) and `timeoutMs`, handled before the route runs. */
  readonly query?: JsonSchema
  readonly body?: JsonSchema
  /** The body by media type as the reference tells it, when it is more than `body`, which is checked before the route runs. */
  readonly bodies?: Readonly<Record<string, JsonSchema>>
  readonly response: JsonSchema
  /** Folds that the answer reads: `atLeast` waits for them. Default: all. */
  readonly folds?: readonly string[]
  /** Error codes that it may answer with, for the reference. */
  readonly errors?: readonly string[]
  handle(request: RouteRequest): RouteAnswer | Promise<RouteAnswer>
}

/** An option or argument of a command. */
export interface CommandOption {
  /** As commander writes it: `--person <id>`, `-n, --n <count>`, `--explain`. */
  readonly flags: string
  readonly description: string
  readonly isRequired?: boolean
}

/** A CLI verb that is one request to the server; `--json` prints the body as it is. */
export interface CommandDefinition {
  readonly name: string
  readonly summary: string
  readonly arguments?: readonly {
    readonly name: string
    readonly description: string
    readonly isRequired: boolean
  }[]
  readonly options?: readonly CommandOption[]
  /** The request that the options mean. */
  request(input: {
    readonly arguments: readonly string[]
    readonly options: Readonly<Record<string, string | boolean | undefined>>
  }): {
    readonly method: string
    readonly path: string
    readonly query?: Readonly<Record<string, string>>
    readonly body?: unknown
  }
  /** The answer as text for people, in lines of at most so many characters. */
  print(body: unknown, columns: number): string
}

/** A figure for `/metrics`. */
export interface MetricDefinition {
  /** `millrace_<module>_<what>_<unit>`. */
  readonly name: string
  readonly help: string
  readonly type: 'gauge' | 'counter'
  /** Current values by label set. */
  collect(): readonly {
    readonly labels?: Readonly<Record<string, string>>
    readonly value: number
  }[]
}

/** A module, opened. `Api` is what modules that declared an edge (and the host process) may call. */
export interface ModuleInstance<Api = unknown> {
  readonly api: Api
  readonly routes: readonly RouteDefinition[]
  readonly metrics: readonly MetricDefinition[]
  /** What an operator is to look at while it serves: a line each, without personal data. */
  warnings?(): readonly string[]
  close?(): Promise<void>
}

/** A module, declared. */
export interface ProductModule<Api = unknown> {
  /** `[a-z][a-z0-9-]*`. */
  readonly name: string
  /** Events from outside that it adds to the app. */
  readonly events?: readonly EventDefinition[]
  readonly errors?: ErrorRegistry<string>
  /** Modules whose API it calls. */
  readonly uses?: readonly string[]
  /** Streams that it owns, beside those of the app's key entities. */
  streams?(app: App): readonly StreamSpec[]
  folds?(app: App): readonly FoldDefinition[]
  /** CLI verbs. Declared here, not by the open module, because the CLI speaks to a server that another process runs. */
  readonly commands?: readonly CommandDefinition[]
  open(context: ModuleContext): Promise<ModuleInstance<Api>> | ModuleInstance<Api>
}

/** Declares a module. */
export function defineModule<Api>(module: ProductModule<Api>): ProductModule<Api> {
  return module
}
