/** The answers that a person was given, the newest first. */
import { partitionName, partitionOf } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import { partsOfKey } from '../../catalogue/index.ts'
import { EXPOSED, EXPOSURES, type Exposure } from '../events.ts'
import type { PastAnswerPorts } from '../past-answers.ts'
import { newestFirst } from './behind.ts'

/** Exposures are appended so long after their answers at most, as far as a search by time goes. */
const APPENDED_WITHIN_MS = 60_000

/** An answer, in short. */
export interface GivenAnswer {
  readonly answerId: string
  readonly surface: string
  readonly atMs: number
  readonly items: readonly { readonly kind: string; readonly id: string; readonly title: string }[]
}

/** A page of them. */
export interface GivenAnswers {
  readonly answers: readonly GivenAnswer[]
  /** Go on `before` this; absent at the end. */
  readonly next?: number
}

/** Lists what a person was given until `atMs`, by default until now; nothing of somebody who was erased. */
export async function answersOf(
  { app, log, titleOf }: Pick<PastAnswerPorts, 'app' | 'titleOf'> & { readonly log: EventLog },
  person: string,
  request: {
    readonly atMs?: number | undefined
    readonly before?: number | undefined
    readonly limit: number
  },
): Promise<GivenAnswers> {
  const { atMs = Infinity } = request
  const partition = partitionOf(person, app.partitions)
  const place = { stream: EXPOSURES, partition }
  const to =
    atMs === Infinity
      ? (log.ends().get(partitionName(EXPOSURES, partition)) ?? 0)
      : await log.seek({ ...place, timeMs: atMs + APPENDED_WITHIN_MS })
  const scope = {
    stream: EXPOSURES,
    key: person,
    to,
    matches: ({ type, eventTimeMs, isErased }: LogRecord) =>
      type === EXPOSED && eventTimeMs <= atMs && isErased !== true,
  }
  const { found, next } = await newestFirst(log, scope, request)
  const answers = found.map(({ data, eventTimeMs }) => {
    const { a: answerId, s: surface, i: slots } = data as Exposure
    const items = slots.map(([key]) => ({ ...partsOfKey(key), title: titleOf(key) }))
    return { answerId, surface, atMs: eventTimeMs, items }
  })
  return { answers, ...(next === undefined ? {} : { next }) }
}
