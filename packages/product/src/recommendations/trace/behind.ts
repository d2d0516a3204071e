/**
 * The events behind a term of a past answer: what people did with the item, as far as the answer knew
 * it, the newest first. Nothing is folded; the history of one key is read backwards.
 */
import { partitionName, partitionOf, type App } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import { findCause, type CorrectionAction, type Streams } from '@millrace/streams'
import { partsOfKey } from '../../catalogue/index.ts'
import { productErrors } from '../../errors.ts'
import { ITEM_SIGNALS, type ExposedState, type Exposure, type ItemSignal } from '../events.ts'
import { PROFILE_FOLD } from '../profile-fold.ts'
import { RECENT_MAX, type ProfileShard } from '../profile-shard.ts'

/** Records of the key that are looked at for one page. */
const LOOKED_AT_MAX = 50_000
const FIRST_LOOK = 512

/** An event behind a term. */
export interface EventBehind {
  /** Id of the event; of the signal that was re-keyed from it where the event is not found. */
  readonly id: string
  readonly stream: string
  readonly type: string
  readonly atMs: number
  /** Who did it; absent where the event is not found. */
  readonly person?: string
  /** Of a signal: its weight, and the items that the person had acted on before, newest first. */
  readonly weight?: number
  readonly after?: readonly string[]
  /** What was decided on it since: it is not behind what is answered today. */
  readonly corrected?: Exclude<CorrectionAction, 'restore'>
}

/** A page of them, newest first. */
export interface EventsBehind {
  readonly events: readonly EventBehind[]
  /** Go on `before` this; absent at the end. */
  readonly next?: number
}

/** Which term, and which page. */
export interface BehindRequest {
  /** `kind/id`. */
  readonly item: string
  /** A built-in source. */
  readonly stage: string
  readonly before?: number | undefined
  readonly limit: number
}

/** What is read. */
export interface BehindPorts {
  readonly app: App
  readonly log: Pick<EventLog, 'read' | 'seek' | 'history'>
  readonly streams: Pick<Streams, 'past' | 'corrections'>
}

/** Gives a page. Rejects with REQUEST_INVALID, LOG_OFFSET_GONE. */
export async function eventsBehind(
  ports: BehindPorts,
  exposure: Exposure,
  request: BehindRequest,
): Promise<EventsBehind> {
  const { x: state } = exposure
  if (state === undefined) {
    return refuse('the answer', 'a version gave it that did not note its state')
  }
  const isPut = request.stage === 'fresh'
  const scope = isPut
    ? putsOf(ports.app, state, request.item)
    : await signalsOf(ports, exposure, state, request)
  const { found, next } = await newestFirst(ports.log, scope, request)
  const events: EventBehind[] = []
  for (const record of found) events.push(await told(ports, record, isPut))
  return { events, ...(next === undefined ? {} : { next }) }
}

interface Scope {
  readonly stream: string
  readonly key: string
  readonly to: number
  matches(record: LogRecord): boolean
}

function putsOf(app: App, [, , , items]: ExposedState, item: string): Scope {
  const { kind, id } = partsOfKey(item)
  const place = (app.options.items ?? []).findIndex(({ name }) => name === kind)
  if (place < 0) refuse('item', `there is no kind ${kind.slice(0, 64)}`)
  const to = items[place * app.partitions + partitionOf(id, app.partitions)] ?? 0
  return { stream: kind, key: id, to, matches: ({ type }) => type === `${kind}.put` }
}

/** Which of the item's signals a built-in source counts. */
async function signalsOf(
  ports: BehindPorts,
  exposure: Exposure,
  [person, signals, listSignals]: ExposedState,
  { item, stage }: BehindRequest,
): Promise<Scope> {
  const isOn = ({ data, key }: LogRecord): boolean => ((data as ItemSignal).item ?? key) === item
  const at = partitionOf(item, signals.length)
  const scope = { stream: ITEM_SIGNALS, key: item }
  if (stage === 'trending' || stage === 'popular') {
    return { ...scope, to: listSignals[at] ?? 0, matches: isOn }
  }
  if (stage !== 'forYou' && stage !== 'because') {
    const ranker = ports.app.options.surfaces?.[exposure.s]?.ranker
    const isTerm = ranker !== undefined && stage in ranker.terms
    refuse('stage', isTerm ? 'it is a term over features: the explanation of the candidate tells which, and the path of the events behind each (`millrace explain <answer> --item <kind/id>`)' : 'it is one of forYou, because, trending, popular and fresh: of a stage of your own nothing but its term is known') // prettier-ignore
  }
  const history = new Set(await historyOf(ports, exposure, person, stage))
  const { i: seed } = exposure.q ?? {}
  const others = stage === 'because' && seed !== undefined ? new Set([seed]) : history
  const isWith = ({ keys, data }: LogRecord): boolean =>
    ((data as ItemSignal).from ?? keys).some(key => key !== item && others.has(key)) ||
    others.has((data as ItemSignal).item ?? keys[0] ?? '')
  const matches = stage === 'because' ? isWith : (record: LogRecord) => isOn(record) && isWith(record) // prettier-ignore
  return { ...scope, to: signals[at] ?? 0, matches }
}

/** What the person had done last, newest first; for `because` only the newest counts. */
async function historyOf(
  { app, streams }: BehindPorts,
  { p }: Exposure,
  offset: number,
  stage: string,
): Promise<readonly string[]> {
  if (p === undefined || offset === 0) return []
  const name = partitionName('person', partitionOf(p, app.partitions))
  const at = { position: new Map([[name, offset]]) }
  const { shard } = await streams.past.state<ProfileShard>({ fold: PROFILE_FOLD, key: p, at })
  const keys = shard.interactions(p, RECENT_MAX).map(({ item }) => item)
  return stage === 'because' ? keys.slice(0, 1) : keys
}

/** The newest records of a key that match, in pages: their number is bounded, and so is what is looked at. */
export async function newestFirst(
  log: Pick<EventLog, 'history'>,
  { stream, key, to, matches }: Scope,
  { before, limit }: Pick<BehindRequest, 'before' | 'limit'>,
): Promise<{ readonly found: readonly LogRecord[]; readonly next: number | undefined }> {
  const found: LogRecord[] = []
  let end = Math.min(to, before ?? to)
  let looked = 0
  for (
    let span = FIRST_LOOK;
    end > 0 && found.length <= limit && looked < LOOKED_AT_MAX;
    span *= 2
  ) {
    const from = Math.max(0, end - span)
    const part: LogRecord[] = []
    for await (const record of log.history({ stream, keys: [key], from, to: end })) {
      looked += 1
      // Decoded while its bytes are there.
      void (record.keys, record.data)
      if (matches(record)) part.push(record)
    }
    found.push(...part.reverse())
    end = from
  }
  const page = found.slice(0, limit)
  const isMore = found.length > limit || end > 0
  const next = found.length > limit ? page.at(-1)?.offset : end
  return { found: page, next: isMore ? next : undefined }
}

async function told(
  { app, log, streams }: BehindPorts,
  record: LogRecord,
  isPut: boolean,
): Promise<EventBehind> {
  const search = { fold: PROFILE_FOLD, source: 'person', partitions: app.partitions }
  const event = isPut ? record : await findCause(log, record, search)
  const corrected = streams.corrections.of((event ?? record).id).at(-1)
  const { id, stream, type, eventTimeMs: atMs } = event ?? record
  const { weight, from } = record.data as ItemSignal
  return {
    id,
    stream,
    type,
    atMs,
    ...(event === undefined || isPut ? {} : { person: event.key }),
    ...(isPut ? {} : { weight, after: from ?? record.keys.slice(1) }),
    ...(corrected === undefined ? {} : { corrected: corrected.action }),
  }
}

function refuse(name: string, reason: string): never {
  throw productErrors.create('REQUEST_INVALID', { name, reason })
}
