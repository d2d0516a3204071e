/** The corrections of a branch: their events are looked for when somebody needs them, and at first only some of many. */
import { createSeededRandom, partitionName } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import type { CorrectionChange } from '../corrections/book.ts'
import type {
  CorrectionPlan,
  CorrectionRequests,
  CorrectionResult,
  RequestedCorrection,
} from '../corrections/control.ts'
import { Originals } from '../corrections/originals.ts'
import { streamsErrors } from '../errors.ts'
import { foundOnce } from './found-once.ts'
import type { Ground } from './ground.ts'

/** Corrections as changes of what is in force where a branch begins. */
export interface FoundCorrections {
  readonly corrections: readonly CorrectionChange[]
  /** Has the records of their events; read again when they were given up. */
  readonly originals: () => Promise<Originals>
  readonly results: readonly CorrectionResult[]
  /** Gives up the records where they are too many to be kept until the next question; false where they are kept. */
  release(): boolean
}

/** Records of corrected events, and what was re-keyed from them, that are kept between questions: some 4 KB each. */
const EVENTS_KEPT = 4_000

/** See the head of the file. */
export class RequestedCorrections {
  readonly requested: readonly RequestedCorrection[]
  /** The source of what they put in force. */
  readonly source: string
  readonly #ground: Ground
  readonly #requests: Pick<CorrectionRequests, 'plan'>
  /** All of them. */
  readonly all = foundOnce(() => this.#find(this.requested))

  /** Throws BRANCH_INVALID when an event is named twice. */
  constructor(
    ground: Ground,
    requests: Pick<CorrectionRequests, 'plan'>,
    { requested, source }: Pick<RequestedCorrections, 'requested' | 'source'>,
  ) {
    this.#ground = ground
    this.#requests = requests
    this.requested = requested
    this.source = source
    const ids = new Set<string>()
    for (const { id } of requested) {
      if (ids.has(id)) {
        const reason = `the event ${id} is named twice: say once what becomes of it`
        throw streamsErrors.create('BRANCH_INVALID', { reason })
      }
      ids.add(id)
    }
  }

  /** Some of them, from everywhere among them; all when there are no more than `max`. */
  async sample(max: number): Promise<FoundCorrections> {
    const { length } = this.requested
    if (length <= max) return await this.all()
    // Not at even steps: what is named in turns would be met in one of them.
    const places = new Set<number>()
    const random = createSeededRandom(length)
    while (places.size < max) places.add(Math.floor(random.next() * length))
    return await this.#find([...places].map(at => this.requested[at] as RequestedCorrection))
  }

  async #find(corrections: readonly RequestedCorrection[]): Promise<FoundCorrections> {
    const { corrected, instant, ports } = this.#ground
    const { log } = ports
    if (corrections.length === 0) return foundIn(log, [], [])
    const set = { corrections, reason: 'a branch', by: 'a branch' }
    const plan = await this.#requests.plan(set, corrected)
    const originals = new Originals(log)
    const changes: CorrectionChange[] = []
    const late = new Set<string>()
    for (const item of plan.events) {
      const { id, stream, place } = item.event
      const { partition, offset } = place as { partition: number; offset: number }
      if (offset >= (instant.position.get(partitionName(stream, partition)) ?? 0)) {
        late.add(id)
        continue
      }
      const change = changeOf(this.#ground, item, this.source)
      originals.add(change.entry, plan.records.get(id) as LogRecord)
      changes.push(change)
    }
    const results = plan.results.map((result): CorrectionResult =>
      late.has(result.id)
        ? { id: result.id, status: 'refused', reason: 'it came after the position' }
        : result,
    )
    return foundIn(log, changes, results, originals)
  }
}

function foundIn(
  log: EventLog,
  corrections: readonly CorrectionChange[],
  results: readonly CorrectionResult[],
  first?: Originals,
): FoundCorrections {
  const read = async (): Promise<Originals> => {
    const originals = new Originals(log)
    const records = await log.find(corrections.map(({ entry }) => entry.id))
    for (const { entry } of corrections) {
      const record = records.get(entry.id)
      if (record !== undefined) originals.add(entry, record)
    }
    return originals
  }
  let held = first
  return {
    corrections,
    results,
    originals: async () => (held ??= await read()),
    release() {
      if (corrections.length <= EVENTS_KEPT) return false
      held = undefined
      return true
    },
  }
}

function changeOf(
  ground: Ground,
  { action, event: { data, ...event } }: CorrectionPlan['events'][number],
  source: string,
): CorrectionChange {
  const entry = ground.entry(event.id) ?? { ...event, history: [] }
  const before = ground.correctionOf(entry)
  if (action === 'restore') return { entry, before, after: undefined }
  return {
    entry,
    before,
    after: action === 'correct' ? { action, source, data } : { action, source },
  }
}
