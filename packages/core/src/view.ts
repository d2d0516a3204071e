/**
 * Views: folds that a team declares. A view depends only on the records of its key in log order,
 * on their stored watermarks, and on tables as of event time; so it can be dropped and rebuilt with
 * equal result. The streams package compiles these declarations.
 */
import type { EventDefinition, ItemDefinition } from './definition.ts'
import { durationMs, type Duration } from './duration.ts'
import type { Fields, IdFields, Infer } from './schema.ts'

/** An event as a fold sees it; `type` tells the members of a union apart. */
export type FoldEvent<E extends EventDefinition> =
  E extends EventDefinition<infer Name, infer F>
    ? {
        readonly type: Name
        readonly id: string
        /** Event time, milliseconds since the epoch. */
        readonly atMs: number
        readonly data: Infer<F>
      }
    : never

/** Attributes of items as of the event's time; undefined before the first `put` and after a removal. */
export type JoinedTables<J extends Readonly<Record<string, ItemDefinition>>> = {
  readonly [K in keyof J]: (id: string) => Infer<J[K]['fields']> | undefined
}

/** What a fold may use beside its state and the event. */
export interface FoldContext<J extends Readonly<Record<string, ItemDefinition>>> {
  /** The key that is folded. */
  readonly key: string
  /** Watermark stored in the record: no earlier event of this partition is expected. */
  readonly watermarkMs: number
  readonly tables: JoinedTables<J>
  /** Emits an event of a type listed in `emits`; its id follows from the cause, so that it is emitted once. */
  emit<E extends EventDefinition>(event: E, data: Infer<E['fields']>): void
  /** Calls `onTimer` with `name` when the watermark reaches `atMs`; a second call with the same name replaces the first. */
  timer(name: string, atMs: number): void
}

/** What happens to an event that is behind the watermark of a closed window. History records are never late. */
export type LatePolicy = 'include' | 'ignore'

/** Windows over event time. A sliding window is made of tiles of `stepMs` that are merged when read. */
export interface WindowDefinition {
  readonly kind: 'tumbling' | 'sliding'
  readonly sizeMs: number
  readonly stepMs: number
  /** How long after its end a tile still takes events, beside the stream's lateness. */
  readonly allowedLatenessMs: number
  readonly late: LatePolicy
  /** Tiles older than this behind the watermark are dropped. At least the size. */
  readonly keepMs: number
}

/** Windows of `size`, one after the other, aligned to the epoch; the newest `keep` of time is readable (default: 7 sizes). */
export function tumbling(
  size: Duration,
  options: { keep?: Duration; allowedLateness?: Duration; late?: LatePolicy } = {},
): WindowDefinition {
  const sizeMs = durationMs(size)
  return {
    kind: 'tumbling',
    sizeMs,
    stepMs: sizeMs,
    allowedLatenessMs:
      options.allowedLateness === undefined ? 0 : durationMs(options.allowedLateness),
    late: options.late ?? 'ignore',
    keepMs: options.keep === undefined ? 7 * sizeMs : Math.max(sizeMs, durationMs(options.keep)),
  }
}

/** The last `size` of time, moving by `step` (default: a 24th of the size); `size` is rounded up to whole steps. */
export function sliding(
  size: Duration,
  options: { step?: Duration; allowedLateness?: Duration; late?: LatePolicy } = {},
): WindowDefinition {
  const wantedMs = durationMs(size)
  const stepMs = options.step === undefined ? Math.ceil(wantedMs / 24) : durationMs(options.step)
  const sizeMs = Math.ceil(wantedMs / stepMs) * stepMs
  return {
    kind: 'sliding',
    sizeMs,
    stepMs,
    allowedLatenessMs:
      options.allowedLateness === undefined ? 0 : durationMs(options.allowedLateness),
    late: options.late ?? 'ignore',
    keepMs: sizeMs,
  }
}

/** A JSON value: what the state of a view is made of. */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [k: string]: Json }

/** A declared view. `S`: state per key (and per tile, with a window); `Out`: what a read gives. */
export interface ViewDefinition<S = unknown, Out = unknown> {
  readonly kind: 'view'
  readonly from: readonly EventDefinition[]
  /** Field of every source event that gives the key. Another field than the event's own key re-keys the stream. */
  readonly key: string
  /** Explicit version; a changed one is built anew. Default: a hash of the functions' source text. */
  readonly version: string | undefined
  /** The version before, which is served until a rebuild of this one is switched to. */
  readonly replaces: AnyView | undefined
  readonly description: string | undefined
  readonly window: WindowDefinition | undefined
  readonly join: Readonly<Record<string, ItemDefinition>>
  readonly emits: readonly EventDefinition[]
  readonly onFailure: 'park' | 'pass'
  // Methods, not function fields: a view of any state is then assignable to `AnyView`.
  /** The state of a key, or of a window of it, before its first event; one that is as that again has no value. */
  initial(): S
  fold(state: S, event: FoldEvent<EventDefinition>, context: FoldContext<{}>): S | void
  /** Takes an event out again so that the bytes of the state are as if it had never been; absent: the key is folded again. */
  invert?(state: S, event: FoldEvent<EventDefinition>): S | void
  /** True when the order in which events are folded makes no difference to the bytes: one that comes back after a correction is then folded alone. */
  readonly isOrderFree: boolean
  /** Joins the states of two tiles, the earlier first. Needed by sliding windows. */
  merge?(a: S, b: S): S
  onTimer?(state: S, name: string, context: FoldContext<{}>): S | void
  read(state: S): Out
}

/** Any declared view. */
export type AnyView = ViewDefinition

type KeyOf<E extends EventDefinition> =
  E extends EventDefinition<string, infer F extends Fields> ? IdFields<F> : never
/** Keys that every member of the union has: id fields, required. */
export type CommonKey<E extends EventDefinition> = [E] extends [EventDefinition]
  ? {
      [K in KeyOf<E>]: E extends EventDefinition<string, infer F extends Fields>
        ? K extends IdFields<F>
          ? never
          : K
        : never
    }[KeyOf<E>] extends infer Missing
    ? Exclude<KeyOf<E>, Missing>
    : never
  : never

/**
 * Declares a view: a state per key, folded from events.
 *
 * `fold` may change the state in place or return a new one; it must be a pure function of its
 * arguments. The state must be JSON, its numbers finite: it is looked at after every event (some ten
 * nanoseconds a value), and one that a restart would change counts as a throw. A throw parks the key
 * (`onFailure: 'park'`, the default) or leaves the event out (`'pass'`). What is emitted must fit its
 * event.
 */
export function view<
  const E extends EventDefinition,
  S,
  Out = S,
  const J extends Readonly<Record<string, ItemDefinition>> = {},
>(options: {
  from: readonly E[]
  key: CommonKey<E>
  initial: () => S
  fold: (state: S, event: FoldEvent<E>, context: FoldContext<J>) => S | void
  invert?: (state: S, event: FoldEvent<E>) => S | void
  /** The order of events makes no difference to the bytes of the state. Default: it may. */
  isOrderFree?: boolean
  merge?: (a: S, b: S) => S
  onTimer?: (state: S, name: string, context: FoldContext<J>) => S | void
  read?: (state: S) => Out
  window?: WindowDefinition
  join?: J
  emits?: readonly EventDefinition[]
  onFailure?: 'park' | 'pass'
  version?: string
  /** The version before: it is served until `millrace rebuild` switches to this one. Same key, same stream. */
  replaces?: AnyView
  description?: string
}): ViewDefinition<S, Out> {
  return {
    kind: 'view',
    from: options.from,
    key: options.key,
    version: options.version,
    replaces: options.replaces,
    description: options.description,
    window: options.window,
    join: options.join ?? {},
    emits: options.emits ?? [],
    onFailure: options.onFailure ?? 'park',
    initial: options.initial,
    fold: options.fold,
    invert: options.invert,
    isOrderFree: options.isOrderFree ?? false,
    merge: options.merge,
    onTimer: options.onTimer,
    read: options.read ?? (state => state as unknown as Out),
  }
}

/** Counts events per key; exact, inverts. */
export function countView<const E extends EventDefinition>(options: {
  from: readonly E[]
  key: CommonKey<E>
  where?: (event: FoldEvent<E>) => boolean
  window?: WindowDefinition
  description?: string
  version?: string
  replaces?: AnyView
}): ViewDefinition<{ count: number }, number> {
  const { where } = options
  return view({
    ...options,
    // The condition is a part of what the view computes, and so of its version.
    version: options.version ?? `count:${String(where ?? '')}`,
    initial: () => ({ count: 0 }),
    fold(state: { count: number }, e: FoldEvent<E>) {
      if (where === undefined || where(e)) state.count += 1
    },
    isOrderFree: true,
    invert(state: { count: number }, e: FoldEvent<E>) {
      if (where === undefined || where(e)) state.count -= 1
    },
    merge: (a: { count: number }, b: { count: number }) => ({ count: a.count + b.count }),
    read: (state: { count: number }) => state.count,
  })
}
