/**
 * Events from outside into the log: checked against the definition, recognised when they were sent
 * before, durable before the answer. The bytes of an event are stored as they came.
 *
 * One commit per request, or for all requests of one event each that arrive together; the log
 * gathers commits into one write. Nothing is dropped in silence: every event has a result.
 */
import type { AdmittedEvent, App, Clock } from '@millrace/core'
import type { AppendResult, EventLog, NewEvent } from '@millrace/log'
import { QUARANTINE_HEADER, type Checks, type MarkedEvent } from '@millrace/product'
import { takeLines, type LineBase } from './line-stream.ts'
import { isSingle, parseBody, type BodyLimits, type ParsedBody } from './body.ts'
import {
  appendedText,
  batchText,
  isRefused,
  quoteId,
  type EventCounts,
  type EventResult,
  type IngestOutcome,
  type InvalidResult,
} from './results.ts'
import { Singles } from './singles.ts'

/** How the events of a call are taken. */
export interface IngestOptions {
  /** Imported records, which do not age by the wall clock. Default false. */
  readonly isHistory?: boolean
}

/** What came of a request body. */
export interface BodyOutcome extends IngestOutcome {
  /** False: the body was one object and its answer is the result itself. */
  readonly isBatch: boolean
}

/** Takes events from outside. */
export interface Ingest {
  /** Takes a request body apart and appends what fits; owns `body`. Refuses what is no batch at all (BODY_INVALID...). */
  body(body: Buffer, format: 'json' | 'ndjson', options?: IngestOptions): Promise<BodyOutcome>
  /**
   * Appends the events of a body of lines, of any length, while it arrives; owns its chunks, and
   * says which bytes it no longer holds. What became of each part comes in order. Throws what
   * refuses a part (LOG_READ_ONLY...): those before it are taken, none after it is.
   */
  lines(
    chunks: AsyncIterable<Buffer>,
    options: IngestOptions & { onReleased(bytes: number): void },
  ): AsyncIterable<BodyOutcome>
  /** Appends envelopes `{type, id?, at?, data}` of this process. */
  events(envelopes: readonly unknown[], options?: IngestOptions): Promise<IngestOutcome>
  /** Events since the start, by what became of them. */
  readonly counters: Readonly<Record<EventResult['status'], number>>
}

interface Ports {
  readonly app: App
  readonly log: EventLog
  readonly clock: Clock
  readonly newId: () => string
  readonly limits: BodyLimits
  /** What is expected of events. Absent: nothing. */
  readonly checks?: Pick<Checks, 'judge' | 'hold'>
}

/** What is sent to the log, and what was refused before. */
interface Prepared {
  readonly events: NewEvent[]
  readonly isBatch: boolean
  /** By index in the request. */
  readonly faults: ReadonlyMap<number, InvalidResult>
  readonly size: number
  /** The place in the request that results name. */
  readonly placeOf: (index: number) => Place
}

interface Place {
  readonly index: number
  readonly line?: number
}

/** Creates the way in. */
export function createIngest(ports: Ports): Ingest {
  const counters = { appended: 0, duplicate: 0, conflict: 0, invalid: 0 }
  const singles = new Singles(ports.log, ports.clock)
  const conclude = (
    prepared: Prepared,
    results: readonly AppendResult[],
    position: IngestOutcome['position'],
  ): BodyOutcome => {
    const outcome = outcomeOf(prepared, results, position)
    counters.appended += outcome.counts.appended
    counters.duplicate += outcome.counts.duplicates
    counters.conflict += outcome.counts.conflicts
    counters.invalid += outcome.counts.invalid
    return outcome
  }
  const commit = async (prepared: Prepared): Promise<BodyOutcome> => {
    const { events } = prepared
    if (events.length === 0) return conclude(prepared, [], NOWHERE)
    const { results, position } = await ports.log.commit({ events })
    await holdMarked(ports, events, results)
    return conclude(prepared, results, position)
  }
  const single = async (body: Buffer, options: IngestOptions): Promise<BodyOutcome> => {
    let prepared: Prepared | undefined
    const outcome = await singles.append(body.length, () => {
      prepared = prepare(ports, parseBody(body, 'json', ports.limits), options)
      return prepared.events[0]
    })
    if (outcome === undefined) return conclude(prepared as unknown as Prepared, [], NOWHERE)
    const taken = prepared as unknown as Prepared
    await holdMarked(ports, taken.events, [outcome.result])
    return conclude(taken, [outcome.result], outcome.position)
  }
  return {
    counters,
    async body(body, format, options = NO_OPTIONS) {
      if (format === 'json' && isSingle(body)) return single(body, options)
      return commit(prepare(ports, parseBody(body, format, ports.limits), options))
    },
    lines: (chunks, options) =>
      takeLines(chunks, {
        limits: ports.limits,
        clock: ports.clock,
        onReleased: bytes => options.onReleased(bytes),
        commit: (parsed, base) => commit(prepare(ports, parsed, options, base)),
      }),
    events: (envelopes, options = NO_OPTIONS) =>
      commit(
        prepare(
          ports,
          { isBatch: true, values: envelopes, payloads: [], faults: NO_FAULTS, lines: undefined },
          options,
        ),
      ),
  }
}

const NO_OPTIONS: IngestOptions = {}
const BEGINNING: LineBase = { index: 0, line: 0 }
const NO_FAULTS: ReadonlyMap<number, never> = new Map<number, never>()
const NOWHERE: IngestOutcome['position'] = new Map()

function prepare(
  ports: Ports,
  parsed: ParsedBody,
  options: IngestOptions,
  base = BEGINNING,
): Prepared {
  const { values, payloads, lines } = parsed
  const size = values.length
  const placeOf = (index: number): Place => {
    const line = lines?.[index]
    const place = { index: base.index + index }
    return line === undefined ? place : { ...place, line: base.line + line }
  }
  let faults: Map<number, InvalidResult> | undefined
  const refuse = (index: number, result: InvalidResult): void => {
    faults ??= new Map()
    faults.set(index, result)
  }
  const events: NewEvent[] = []
  const nowMs = ports.clock.nowMs()
  const isHistory = options.isHistory ?? false
  const definition = ports.app.fingerprint
  for (let index = 0; index < size; index++) {
    const fault = parsed.faults.get(index)
    if (fault !== undefined) {
      refuse(index, faultOf(fault.code, '', fault.reason, placeOf(index)))
      continue
    }
    const value = values[index]
    const admitted = ports.app.admit(value)
    if (!admitted.ok) {
      const issue = admitted.issues[0] ?? { path: '', reason: 'it does not fit' }
      const refused = faultOf(admitted.code, issue.path, issue.reason, placeOf(index))
      refuse(index, withId(refused, value))
      continue
    }
    const broken = brokenText(admitted)
    if (broken !== undefined) {
      refuse(index, faultOf('EVENT_INVALID', broken, BROKEN_REASON, placeOf(index)))
      continue
    }
    const { definition: declared } = admitted.event
    const judged = ports.checks?.judge(declared.name, admitted.data, admitted.atMs ?? nowMs)
    if (judged?.severity === 'refuse') {
      refuse(index, withId(faultOf('CHECK_FAILED', judged.path, judged.reason, placeOf(index)), value)) // prettier-ignore
      continue
    }
    events.push({
      stream: declared.stream,
      type: declared.name,
      key: admitted.key,
      id: admitted.id ?? ports.newId(),
      eventTimeMs: admitted.atMs ?? nowMs,
      isTimeOfArrival: admitted.atMs === undefined,
      data: admitted.data,
      payload: payloads[index],
      isEnvelope: payloads[index] !== undefined,
      isHistory,
      definition,
      ...(judged === undefined ? {} : { headers: { [QUARANTINE_HEADER]: judged.check } }),
    })
  }
  return { events, isBatch: parsed.isBatch, faults: faults ?? NO_FAULTS, size, placeOf }
}

/** Holds the events that were taken marked: whoever sent them hears of it when no view counts them. */
async function holdMarked(
  { checks }: Ports,
  events: readonly NewEvent[],
  results: readonly AppendResult[],
): Promise<void> {
  const marked = events.flatMap(({ headers, id, stream }, index): MarkedEvent[] => {
    const check = headers?.[QUARANTINE_HEADER]
    const result = results[index]
    if (check === undefined || result?.status !== 'appended') return []
    return [{ id, check, stream, partition: result.partition, offset: result.offset }]
  })
  if (marked.length > 0) await checks?.hold(marked)
}

const BROKEN_REASON = 'it has half a surrogate pair, which UTF-8 cannot carry'

/** Keys and ids are stored as UTF-8: half a surrogate pair would come back as another character. */
function brokenText(admitted: AdmittedEvent): string | undefined {
  if (!admitted.key.isWellFormed()) return `/data/${admitted.event.definition.key}`
  return admitted.id === undefined || admitted.id.isWellFormed() ? undefined : '/id'
}

const PATH_MAX = 256

function faultOf(code: string, path: string, reason: string, place: Place): InvalidResult {
  return { status: 'invalid', ...place, code, path: path.slice(0, PATH_MAX), reason }
}

/** Adds the sender's id, so that it finds the event again. */
function withId(fault: InvalidResult, value: unknown): InvalidResult {
  const id =
    typeof value === 'object' && value !== null ? (value as { id?: unknown }).id : undefined
  return typeof id === 'string' && id.length <= 128 ? { ...fault, id } : fault
}

function outcomeOf(
  prepared: Prepared,
  appended: readonly AppendResult[],
  position: IngestOutcome['position'],
): BodyOutcome {
  const { events, faults, isBatch } = prepared
  let duplicates = 0
  let conflicts = 0
  for (const result of appended) {
    if (result.status === 'duplicate') duplicates += 1
    else if (result.status === 'conflict') conflicts += 1
  }
  const counts: EventCounts = {
    appended: appended.length - duplicates - conflicts,
    duplicates,
    conflicts,
    invalid: faults.size,
  }
  const results = (): readonly EventResult[] => resultsOf(prepared, appended)
  const resultsText = (): string =>
    counts.appended === prepared.size ? appendedText(events) : results().map(resultText).join(',')
  return {
    isBatch,
    counts,
    position,
    results,
    resultsText,
    text: () => batchText(counts, resultsText()),
  }
}

function resultsOf(prepared: Prepared, appended: readonly AppendResult[]): readonly EventResult[] {
  const results: EventResult[] = []
  let next = 0
  for (let index = 0; index < prepared.size; index++) {
    const fault = prepared.faults.get(index)
    if (fault !== undefined) {
      results.push(fault)
      continue
    }
    const { id } = prepared.events[next] as NewEvent
    const result = appended[next] as AppendResult
    next += 1
    if (result.status !== 'conflict') {
      results.push({ status: result.status, id })
      continue
    }
    const place = prepared.placeOf(index)
    results.push({ status: 'conflict', id, ...place, code: result.code, reason: result.reason })
  }
  return results
}

function resultText(result: EventResult): string {
  return isRefused(result)
    ? JSON.stringify(result)
    : `{"status":"${result.status}","id":${quoteId(result.id)}}`
}
