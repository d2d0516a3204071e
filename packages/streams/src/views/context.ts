/** What a declared fold sees beside its state: one object per shard, set to each key before use. */
import { coreErrors } from '@millrace/core'
import type { EventDefinition, FoldContext, FoldEvent } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { Emission, FoldOutput, TableLookup } from '../fold.ts'
import { MERGED } from '../identity/contract.ts'
import { CAUSE_HEADER, type ViewPlan } from './plan.ts'
import type { TableReads } from './reads.ts'
import type { Timers } from './timers.ts'

/** For a fold that emits nothing. */
export const NO_OUTPUT: FoldOutput = { emit: () => undefined, fail: () => undefined }

type AnyContext = FoldContext<{}>

/** See the head of the file. */
export class ViewContext implements AnyContext {
  key = ''
  watermarkMs = Number.NEGATIVE_INFINITY
  readonly tables: AnyContext['tables']
  readonly #plan: ViewPlan
  readonly #timers: Timers | undefined
  #output: FoldOutput | undefined
  /** Set while a timer runs: emissions are kept back until it succeeded. */
  #kept: Emission[] | undefined
  #atMs = 0

  constructor(
    plan: ViewPlan,
    lookup: TableLookup,
    timers: Timers | undefined,
    reads: TableReads | undefined,
  ) {
    this.#plan = plan
    this.#timers = timers
    const tables: Record<string, (id: string) => unknown> = {}
    for (const [name, item] of Object.entries(plan.view.join)) {
      tables[name] = id => {
        reads?.note(this.key, item.name, id, this.#atMs)
        return lookup.asOf(item.name, id, this.#atMs)
      }
    }
    this.tables = tables
  }

  /** A record of `key` is folded. */
  begin(key: string, record: LogRecord, output: FoldOutput | undefined): void {
    this.key = key
    this.watermarkMs = record.watermarkMs
    this.#atMs = record.eventTimeMs
    this.#output = output
    this.#kept = undefined
  }

  /** A timer of `key` fires. */
  beginTimer(key: string, atMs: number): Emission[] {
    this.key = key
    this.watermarkMs = atMs
    this.#atMs = atMs
    this.#output = undefined
    this.#kept = []
    return this.#kept
  }

  emit(event: EventDefinition, data: unknown): void {
    const { name, emits } = this.#plan
    const known = emits.get(event.name)
    if (known?.event !== event) {
      throw refusal(name, 'emits', `the event ${event.name} is not among them`)
    }
    known.validator.assert(data, `The event ${event.name} that the view ${name} emits`)
    const key = (data as Readonly<Record<string, string>>)[event.key] as string
    const emission = { stream: event.stream, type: event.name, key, data }
    if (this.#kept !== undefined) this.#kept.push({ ...emission, eventTimeMs: this.#atMs })
    else this.#output?.emit(emission)
  }

  timer(name: string, atMs: number): void {
    if (this.#timers === undefined) {
      throw refusal(this.#plan.name, 'onTimer', 'a timer was set and there is no onTimer')
    }
    if (!Number.isFinite(atMs)) throw refusal(this.#plan.name, 'timer', 'its time is not finite')
    this.#timers.set(this.key, name, atMs)
  }
}

/** A record as declared folds see it; one object for all views of a source. */
export function eventOf(
  plan: Pick<ViewPlan, 'isRekeyed'>,
  record: LogRecord,
): FoldEvent<EventDefinition> {
  record.memo ??= createEvent(plan, record)
  return record.memo as FoldEvent<EventDefinition>
}

function createEvent(
  plan: Pick<ViewPlan, 'isRekeyed'>,
  record: LogRecord,
): FoldEvent<EventDefinition> {
  // All views of a re-keyed stream are re-keyed ones, so that they agree on this.
  const id =
    plan.isRekeyed || record.generation === MERGED
      ? (record.headers[CAUSE_HEADER] ?? record.id)
      : record.id
  const { type, eventTimeMs: atMs, data } = record
  return { type, id, atMs, data } as FoldEvent<EventDefinition>
}

function refusal(view: string, member: string, reason: string): Error {
  return coreErrors.create('DEFINITION_INVALID', { path: `views.${view}.${member}`, reason })
}
