/**
 * Compiles declared views to folds. A view keyed by the key of its events reads their stream; keyed
 * by another field it reads a re-keyed stream, which is declared here together with the fold that
 * fills it. Views that join read the versioned tables of the item kinds.
 */
import { compileSchema, coreErrors, deriveId, objectSchema } from '@millrace/core'
import type { AnyView, EventDefinition } from '@millrace/core'
import type { StreamSpec } from '@millrace/log'
import type { FoldDefinition, FoldShard } from '../fold.ts'
import { canonicalText } from './canonical.ts'
import { PlainShard } from './plain-shard.ts'
import { keysIn, type ViewPlan } from './plan.ts'
import type { ReadableShard } from './reader.ts'
import { RekeyRule, rekeyedStream } from './rekey.ts'
import { personFields } from '../identity/fields.ts'
import { packingOf } from './states.ts'
import { tableFold, tableFoldName } from './table-shard.ts'
import { WindowShard } from './window-shard.ts'

/** What declared views need at run time. */
export interface CompiledViews {
  readonly folds: readonly FoldDefinition[]
  /** The re-keyed streams; the streams of the entities are declared by the app. */
  readonly streams: readonly StreamSpec[]
  /** Fold of the versioned table of each item kind, for `openStreams`. */
  readonly tables: Readonly<Record<string, string>>
}

/** Name of the fold of a declared view. */
export function viewFoldName(view: string): string {
  return `view.${view}`
}

/**
 * Compiles views. `tableKinds` are item kinds to keep tables of beside those that views join;
 * `rekeyed` are events that folds beside the views read under another key: their streams are shared.
 * Throws DEFINITION_INVALID with the place.
 */
export function compileViews(options: {
  views: Readonly<Record<string, AnyView>>
  partitions: number
  latenessMs: number
  tableKinds?: readonly string[]
  rekeyed?: readonly { readonly from: readonly EventDefinition[]; readonly key: string }[]
}): CompiledViews {
  const { views, partitions, latenessMs } = options
  const rules = new Map<string, RekeyRule>()
  const kinds = new Set(options.tableKinds ?? [])
  const folds: FoldDefinition[] = []
  for (const [name, view] of Object.entries(views)) {
    for (const { join } of [view, view.replaces ?? view]) {
      for (const item of Object.values(join)) kinds.add(item.name)
    }
    const fold = compileView(name, view, rules)
    folds.push(view.replaces === undefined ? fold : withReplaced(name, view, fold, rules))
  }
  for (const { from, key } of options.rekeyed ?? []) rekey(from, key, rules)
  const tables = [...kinds].sort()
  return {
    folds: [
      ...tables.map(tableFold),
      ...[...rules.values()].map(rule => rule.fold(partitions)),
      ...folds,
    ],
    streams: [...rules.values()].map(rule => rule.stream(partitions, latenessMs)),
    tables: Object.fromEntries(tables.map(kind => [kind, tableFoldName(kind)])),
  }
}

function compileView(
  name: string,
  view: AnyView,
  rules: Map<string, RekeyRule>,
): FoldDefinition<FoldShard & ReadableShard> {
  checkView(name, view)
  const first = view.from[0] as EventDefinition
  const source = rekey(view.from, view.key, rules)
  const isRekeyed = source !== first.stream
  const plan: ViewPlan = {
    name,
    view,
    isRekeyed,
    packing: packingOf(() => view.initial()),
    emits: new Map(
      view.emits.map(event => [
        event.name,
        { event, validator: compileSchema(objectSchema(event.fields)) },
      ]),
    ),
  }
  const { window } = view
  const joined = [...new Set(Object.values(view.join).map(item => item.name))].sort()
  const isBroughtOn = view.invert !== undefined && view.isOrderFree && joined.length === 0
  const targets = [...new Set(view.emits.map(event => event.stream))].sort()
  return {
    name: viewFoldName(name),
    version: versionOf(view),
    source,
    types: view.from.map(event => event.name),
    people: personFields(view.from),
    ...(targets.length === 0 ? {} : { targets }),
    ...(joined.length === 0 ? {} : { tables: joined }),
    ...(isRekeyed ? { keysOf: record => keysIn(plan, record) } : {}),
    // What many people did ends up in one key; what it cannot take out is folded again.
    ...(isRekeyed && !isBroughtOn ? { hasLongHistories: true } : {}),
    onFailure: view.onFailure,
    createShard: context =>
      window === undefined ? new PlainShard(plan, context) : new WindowShard(plan, window, context),
    readKey: (shard, key) => (shard as FoldShard & ReadableShard).read(key),
  }
}

/** The stream that has the events under `key`: their own, or one that is re-keyed from it. */
function rekey(
  from: readonly EventDefinition[],
  key: string,
  rules: Map<string, RekeyRule>,
): string {
  const [first] = from as [EventDefinition]
  const source = sourceOf(from, key)
  if (source === first.stream) return source
  const rule = rules.get(source) ?? new RekeyRule(first.fields[key]?.ref as string, first.stream)
  rules.set(source, rule)
  for (const event of from) rule.add(event, key)
  return source
}

/** Name of the stream that has events under `key`. */
export function sourceOf(from: readonly EventDefinition[], key: string): string {
  const [first] = from as [EventDefinition]
  const isRekeyed = from.some(event => event.key !== key)
  return isRekeyed ? rekeyedStream(first.fields[key]?.ref as string, first.stream) : first.stream
}

/** The fold of a view with that of the version before it, which runs until it is switched. */
function withReplaced(
  name: string,
  view: AnyView,
  fold: FoldDefinition,
  rules: Map<string, RekeyRule>,
): FoldDefinition {
  const refuse = (reason: string): never => {
    throw coreErrors.create('DEFINITION_INVALID', { path: `views.${name}.replaces`, reason })
  }
  const before = view.replaces as AnyView
  if (before.replaces !== undefined) refuse('it replaces another one: keep one version before')
  if (view.emits.length > 0 || before.emits.length > 0) {
    refuse('a view that emits is changed by a restart: what is behind it changes with it')
  }
  const replaces = compileView(name, before, rules)
  if (before.key !== view.key || replaces.source !== fold.source) {
    refuse('the version before has another key or stream; give this view another name')
  }
  if (replaces.version === fold.version) refuse('both are the same version')
  return { ...fold, replaces }
}

function checkView(name: string, view: AnyView): void {
  const refuse = (member: string, reason: string): never => {
    throw coreErrors.create('DEFINITION_INVALID', { path: `views.${name}.${member}`, reason })
  }
  const [first] = view.from
  if (first === undefined) return refuse('from', 'it reads nothing')
  const kind = first.fields[view.key]?.ref
  for (const event of view.from) {
    if (event.stream !== first.stream) refuse('from', 'its events are on several streams')
    if (kind === undefined || event.fields[view.key]?.ref !== kind) {
      refuse('key', `${view.key} is not an id of one kind in all its events`)
    }
  }
  if (view.window === undefined) return
  if (view.onTimer !== undefined) refuse('onTimer', 'a view with windows has no timers')
  if (view.window.kind === 'sliding' && view.merge === undefined) {
    refuse('merge', 'a sliding window needs it')
  }
}

/**
 * The version of what a view computes: the declared one, or the source text of its functions,
 * with the parts of the declaration that change the state.
 */
function versionOf(view: AnyView): string {
  const functions = [view.initial, view.fold, view.onTimer, view.merge].map(String)
  const parts = {
    code: view.version ?? functions,
    from: view.from.map(event => event.name),
    key: view.key,
    window: view.window ?? null,
    join: Object.entries(view.join).map(([name, item]) => [name, item.name]),
    emits: view.emits.map(event => event.name),
    onFailure: view.onFailure,
  }
  return deriveId(0, canonicalText(parts)).slice(-12)
}
