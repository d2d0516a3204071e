/** What became of events that came in, and how an answer says it. */
import type { Position } from '@millrace/core'

/** An event that is in the log. */
export interface TakenResult {
  readonly status: 'appended' | 'duplicate'
  readonly id: string
}

/** An event whose id belongs to another one. `index` is its place in the request, from 0; `line` its line, from 1, in NDJSON that was not all well-formed. */
export interface ConflictResult {
  readonly status: 'conflict'
  readonly id: string
  readonly index: number
  readonly line?: number
  readonly code: string
  readonly reason: string
}

/** An event that does not fit. */
export interface InvalidResult {
  readonly status: 'invalid'
  readonly id?: string
  readonly index: number
  readonly line?: number
  readonly code: string
  /** JSON Pointer into the event. */
  readonly path: string
  readonly reason: string
}

/** An event that was refused. */
export type RefusedResult = ConflictResult | InvalidResult

/** What became of one event. */
export type EventResult = TakenResult | RefusedResult

/** True when the event was refused. */
export function isRefused(result: EventResult): result is RefusedResult {
  return result.status === 'conflict' || result.status === 'invalid'
}

/** How many events of a request became what. */
export interface EventCounts {
  readonly appended: number
  readonly duplicates: number
  readonly conflicts: number
  readonly invalid: number
}

/** What became of a request with events. */
export interface IngestOutcome {
  readonly counts: EventCounts
  /** The least position that contains all of them. */
  readonly position: Position
  /** One per event, in order. */
  results(): readonly EventResult[]
  /** The JSON texts of the results, with commas between them. */
  resultsText(): string
  /** The JSON text of the answer to a batch. */
  text(): string
}

const PLAIN_ID = /^[\w.:~-]+$/

/** The JSON text of an id. */
export function quoteId(id: string): string {
  return PLAIN_ID.test(id) ? `"${id}"` : JSON.stringify(id)
}

/** The JSON text of a batch answer, from the texts of its results. */
export function batchText(counts: EventCounts, results: string): string {
  return `{${countsText(counts)},"results":[${results}]}`
}

/** The members of a batch answer that count. */
export function countsText({ appended, duplicates, conflicts, invalid }: EventCounts): string {
  return (
    `"appended":${appended},"duplicates":${duplicates},` +
    `"conflicts":${conflicts},"invalid":${invalid}`
  )
}

/** The results when every event was appended: built from the ids alone. */
export function appendedText(events: readonly { readonly id: string }[]): string {
  let text = ''
  for (let index = 0; index < events.length; index++) {
    if (index > 0) text += ','
    text += `{"status":"appended","id":${quoteId((events[index] as { id: string }).id)}}`
  }
  return text
}
