/**
 * Checks over many events at once: those of a file before it is imported, or of the log. Windows are
 * counted as the fold of the log counts them; the first and the last one may be cut, and the number of
 * their events is no verdict.
 */
import type { CheckVerdict, CompiledCheck, KnownItems } from '@millrace/core'

/** An event that a check did not like, and where it is. */
export interface CheckExample {
  readonly place: string
  readonly reason: string
}

/** What a check said of all events. */
export interface CheckReport {
  readonly name: string
  readonly rule: string
  readonly severity: string
  readonly of: string
  readonly field: string | null
  /** Events, or windows, that were judged. */
  readonly judged: number
  readonly failed: number
  readonly unit: 'events' | 'windows'
  readonly state: CheckVerdict['state']
  /** The first of them. */
  readonly examples: readonly CheckExample[]
}

const EXAMPLES_MAX = 5

interface Counted {
  readonly check: CompiledCheck
  readonly examples: CheckExample[]
  readonly windows: Map<number, { counts: number[]; readonly values: Set<string | number>; repeated: number }> // prettier-ignore
  /** Items that nobody knew when they were named, with how often and where first. */
  readonly unknown: Map<string, { count: number; readonly place: string }>
  judged: number
  failed: number
}

/** See the head of the file. */
export class CheckRun {
  readonly #byType: ReadonlyMap<string, readonly Counted[]>
  readonly #all: readonly Counted[]
  readonly #isKnown: KnownItems

  /** `isKnown` says undefined of items that are looked for at the end. */
  constructor(checks: readonly CompiledCheck[], isKnown: KnownItems = () => undefined) {
    this.#isKnown = isKnown
    this.#all = checks.map(check => ({
      check,
      examples: [],
      windows: new Map(),
      unknown: new Map(),
      judged: 0,
      failed: 0,
    }))
    this.#byType = Map.groupBy(this.#all, ({ check }) => check.definition.of.name)
  }

  /** True where an event of the type has to be shown. */
  looksAt(type: string): boolean {
    return this.#byType.has(type)
  }

  /** Item kinds that some check refers to. */
  get refersTo(): ReadonlySet<string> {
    return new Set(this.#all.flatMap(({ check }) => check.refersTo ?? []))
  }

  /** Takes an event. `place` says where it is, for people: a line of a file, an id. */
  take(
    type: string,
    data: Readonly<Record<string, unknown>>,
    { atMs, place }: { readonly atMs: number; readonly place: () => string },
  ): void {
    for (const counted of this.#byType.get(type) ?? []) {
      const { check } = counted
      if (check.isRow) this.#takeRow(counted, data, place)
      else takeWindow(counted, data, atMs)
    }
  }

  #takeRow(counted: Counted, data: Readonly<Record<string, unknown>>, place: () => string): void {
    const { check, unknown } = counted
    const named: string[] = []
    const reason = faultOf(check, data, (kind, id) => {
      const isKnown = this.#isKnown(kind, id)
      if (isKnown === undefined) named.push(id)
      return isKnown
    })
    if (reason === null) return
    counted.judged += 1
    if (reason !== undefined) {
      counted.failed += 1
      if (counted.examples.length < EXAMPLES_MAX) counted.examples.push({ place: place(), reason })
      return
    }
    for (const id of named) {
      const known = unknown.get(id)
      if (known === undefined) unknown.set(id, { count: 1, place: place() })
      else known.count += 1
    }
  }

  /** Says of items that nobody knew whether they exist. */
  resolve(isKnown: (kind: string, id: string) => boolean): void {
    for (const counted of this.#all) {
      const kind = counted.check.refersTo
      for (const [id, { count, place }] of counted.unknown) {
        if (kind === undefined || isKnown(kind, id)) continue
        counted.failed += count
        if (counted.examples.length < EXAMPLES_MAX) counted.examples.push({ place, reason: `there is no ${kind} ${JSON.stringify(id)}` }) // prettier-ignore
      }
      counted.unknown.clear()
    }
  }

  /** What was found, in the order of the definition. */
  reports(): readonly CheckReport[] {
    return this.#all.map(counted => {
      const { check, examples } = counted
      const { name, rule, severity, definition, isRow } = check
      const own = isRow ? rowsOf(counted) : windowsOf(counted)
      const field = definition.field ?? null
      return { name, rule, severity, of: definition.of.name, field, examples, ...own }
    })
  }
}

/** Why an event does not fit; null for one that is not looked at. Code that throws tells nothing good. */
function faultOf(
  check: CompiledCheck,
  data: Readonly<Record<string, unknown>>,
  isKnown: KnownItems,
): string | undefined | null {
  try {
    return check.looksAt(data) ? check.fault(data, isKnown) : null
  } catch {
    return 'the code of the check throws'
  }
}

function takeWindow(
  { check, windows }: Counted,
  data: Readonly<Record<string, unknown>>,
  atMs: number,
): void {
  // prettier-ignore
  const added = check.countsOf(data, () => undefined)
  if (added === undefined) return
  const at = Math.floor(atMs / check.stepMs)
  let window = windows.get(at)
  if (window === undefined) windows.set(at, (window = { counts: added.counts.map(() => 0), values: new Set(), repeated: 0 })) // prettier-ignore
  window.counts = window.counts.map((count, index) => count + (added.counts[index] as number))
  if (added.value === undefined) return
  if (window.values.has(added.value)) window.repeated += 1
  else window.values.add(added.value)
}

type Found = Pick<CheckReport, 'judged' | 'failed' | 'unit' | 'state'>

function rowsOf({ judged, failed }: Counted): Found {
  return { judged, failed, unit: 'events', state: failed > 0 ? 'failing' : judged > 0 ? 'ok' : 'unknown' } // prettier-ignore
}

function windowsOf({ check, windows, examples }: Counted): Found {
  const unit = 'windows'
  // What is fresh is a question of now, and history has none.
  if (check.rule === 'fresh') return { judged: 0, failed: 0, unit, state: 'unknown' }
  let judged = 0
  let failed = 0
  const judge = (at: number): void => {
    const { counts = [0], repeated = 0 } = windows.get(at) ?? {}
    const { state, found } = check.verdict(counts, repeated)
    if (state === 'unknown') return
    judged += 1
    if (state === 'ok') return
    failed += 1
    const place = new Date(at * check.stepMs).toISOString()
    if (examples.length < EXAMPLES_MAX) examples.push({ place, reason: found })
  }
  const sorted = [...windows.keys()].sort((a, b) => a - b)
  if (check.rule === 'volume') {
    const first = sorted[0] ?? 0
    const last = sorted.at(-1) ?? 0
    // A window without events is one, too; long silence is told as often as there is room.
    for (let at = first + 1; at < last && at - first <= WINDOWS_MAX; at++) judge(at)
  } else for (const at of sorted) judge(at)
  return { judged, failed, unit, state: failed > 0 ? 'failing' : judged > 0 ? 'ok' : 'unknown' }
}

/** Windows that the number of events is judged of. */
const WINDOWS_MAX = 100_000
