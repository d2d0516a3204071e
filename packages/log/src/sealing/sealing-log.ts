/**
 * A log that keeps personal fields sealed: what is committed is taken apart, each person's fields
 * sealed with their key and kept as the sealed part of the record, and put together again for whoever
 * reads. The one border at which that happens: nothing below it sees a personal field, nothing above
 * it sees a sealed one.
 *
 * Promise: a key is durable before anything is sealed with it. An event that names a person who was
 * erased is refused (PERSON_ERASED); one that is in the log already says so (`isErased`) and has no
 * personal fields any more. Commits keep their order. The same id with other personal fields is a
 * conflict, as with other fields: a duplicate is opened and compared.
 *
 * Cost: nothing for types without personal fields but a look-up by the type; otherwise one encryption
 * for each commit and one decryption for each record whose data is asked for.
 */
import { joinPersonal, type PersonalEvent, type Random } from '@millrace/core'
import { dataOf, eventConflict } from '../admission.ts'
import { logErrors } from '../errors.ts'
import { findThrough } from '../find.ts'
import { isJsonEqual } from '../json-equal.ts'
import {
  DEFAULT_TENANT,
  type AppendResult,
  type CommitRequest,
  type CommitResult,
  type EventLog,
  type LogRecord,
  type NewEvent,
  type SealedPart,
} from '../log.ts'
import { RecordView } from '../record-view.ts'
import { OTHER_KEYS, type KeyStore } from './keys.ts'
import { SEALED_MEMBER, sealedMember, type ReplaceNested, type Spot } from './nested.ts'
import { seal, unseal } from './seal.ts'

/** What of events of one type is personal; see `PersonalEvent` of core. */
export type Personal = Pick<PersonalEvent, 'fields' | 'ownerOf' | 'peopleOf' | 'split'>

/** What is sealed, and with what. */
export interface SealingPorts {
  readonly keys: KeyStore
  readonly random: Random
  /** What of each type is personal. */
  readonly personal: ReadonlyMap<string, Personal>
  /** Events inside the records of these streams. */
  readonly nested: ReadonlyMap<string, ReplaceNested>
}

/** Who is refused before their keys are destroyed. */
export interface Doors {
  /** Refuses events of these people from now on; resolves when none that was taken before is on its way. */
  shut(people: readonly string[]): Promise<void>
  /** True for those whose events are refused. */
  isShut(person: string): boolean
}

/** The parts of a log that give records. */
type Reads = Pick<EventLog, 'read' | 'history'>

/** A log that seals what is personal. */
export function sealingLog(log: EventLog, ports: SealingPorts): EventLog & Doors {
  return new SealingLog(log, ports)
}

/** Records of a history that are opened together by who only reads. */
const HISTORY_RECORDS = 256

/**
 * The same for who only reads, beside the processes that destroy keys: before records are opened it
 * is asked who of their people was erased meanwhile.
 */
export function sealingReads(log: Reads, ports: Omit<SealingPorts, 'random'>): Reads {
  const opener = new Opener(ports)
  const open = async (records: readonly LogRecord[]): Promise<readonly LogRecord[]> => {
    const { keys, personal } = ports
    const people = new Set<string>()
    for (const record of records) {
      if (record.sealed !== undefined) people.add(record.sealed.person)
      // Of types without personal fields nothing is decoded here.
      for (const person of personal.get(record.type)?.peopleOf(record.data) ?? []) {
        if (keys.get(person) !== undefined) people.add(person)
      }
    }
    if (people.size > 0) await keys.load([...people])
    return await opener.all(records)
  }
  return {
    read: async request => open(await log.read(request)),
    async *history(request) {
      let batch: LogRecord[] = []
      for await (const record of log.history(request)) {
        if (batch.push(record) < HISTORY_RECORDS) continue
        yield* await open(batch)
        batch = []
      }
      yield* await open(batch)
    },
  }
}

class SealingLog implements EventLog, Doors {
  readonly capabilities: EventLog['capabilities']
  readonly find: EventLog['find']
  readonly #log: EventLog
  readonly #ports: SealingPorts
  readonly #opener: Opener
  readonly #shut = new Set<string>()
  readonly #underWay = new Set<Promise<CommitResult>>()
  /** Present while commits wait for keys: later ones come after them. */
  #turn: Promise<unknown> | undefined

  constructor(log: EventLog, ports: SealingPorts) {
    this.#log = log
    this.#ports = ports
    this.#opener = new Opener(ports)
    this.capabilities = log.capabilities
    this.find = findThrough(log, records => this.#opener.all(records))
  }

  async shut(people: readonly string[]): Promise<void> {
    for (const person of people) this.#shut.add(person)
    await Promise.allSettled(this.#underWay)
  }

  isShut(person: string): boolean {
    return this.#shut.has(person) || this.#ports.keys.isDestroyed(person)
  }

  async commit(request: CommitRequest): Promise<CommitResult> {
    const result = this.#commitInTurn(request)
    this.#underWay.add(result)
    try {
      return await result
    } finally {
      this.#underWay.delete(result)
    }
  }

  async #commitInTurn(request: CommitRequest): Promise<CommitResult> {
    if (this.#turn === undefined) {
      const missing = this.#missing(request)
      if (missing === undefined) return await this.#commit(request)
    }
    // In an object, so that nobody waits for its end who waits for its turn.
    const turn = (this.#turn ?? Promise.resolve()).then(async () => {
      const missing = this.#missing(request)
      if (missing !== undefined) await this.#ports.keys.ensure([...missing])
      return { result: this.#commit(request) }
    })
    const last = turn.catch(() => undefined)
    this.#turn = last
    try {
      return await (
        await turn
      ).result
    } finally {
      if (this.#turn === last) this.#turn = undefined
    }
  }

  /** People whose keys a commit needs and that are not there; undefined when it can be sealed now. */
  #missing({ events = [], step }: CommitRequest): ReadonlySet<string> | undefined {
    const { keys } = this.#ports
    let missing: Set<string> | undefined
    const need = (person: string | undefined): void => {
      if (person === undefined || keys.get(person) !== undefined) return
      if (keys.isDestroyed(person) || this.#shut.has(person)) return
      missing ??= new Set()
      missing.add(person)
    }
    const look = (event: NewEvent): void => {
      const personal = this.#personalOf(event.type)
      if (personal !== undefined) {
        const data = dataOf(event)
        if (personal.split(data) !== undefined) need(personal.ownerOf(data))
      }
      this.#replaceNested(event, spot => {
        need(this.#partsOf(spot)?.owner)
        return spot.data
      })
    }
    for (const event of events) look(event)
    for (const event of step?.emitted ?? []) look(event)
    return missing
  }

  /** What of a type is sealed; undefined when nothing is. */
  #personalOf(type: string): Personal | undefined {
    const personal = this.#ports.personal.get(type)
    return personal === undefined || personal.fields.size === 0 ? undefined : personal
  }

  async #commit(request: CommitRequest): Promise<CommitResult> {
    const { events = [], step } = request
    const refused = this.#refused(events)
    const kept = refused.size === 0 ? events : events.filter((_, index) => !refused.has(index))
    const sealed = kept.map(event => this.#seal(event))
    const { results, position } = await this.#log.commit({
      ...(request.events === undefined ? {} : { events: sealed }),
      ...(step === undefined
        ? {}
        : { step: { ...step, emitted: step.emitted.map(event => this.#seal(event)) } }),
    })
    const judged: AppendResult[] = []
    for (const [index, result] of results.entries()) {
      judged.push(await this.#judge(kept[index] as NewEvent, sealed[index] as NewEvent, result))
    }
    if (refused.size === 0) return { results: judged, position }
    const next = judged.values()
    const all = events.map((_, index) => refused.get(index) ?? (next.next().value as AppendResult))
    return { results: all, position }
  }

  /** The events that name who was erased, by index. */
  #refused(events: readonly NewEvent[]): ReadonlyMap<number, AppendResult> {
    const refused = new Map<number, AppendResult>()
    if (this.#shut.size === 0 && !this.#opener.hasErased()) return refused
    for (const [index, event] of events.entries()) {
      const people = this.#ports.personal.get(event.type)?.peopleOf(dataOf(event)) ?? []
      if (!people.some(person => this.isShut(person))) continue
      const { code, message } = logErrors.create('PERSON_ERASED', { id: event.id })
      refused.set(index, { status: 'conflict', code, reason: message })
    }
    return refused
  }

  #seal(event: NewEvent): NewEvent {
    const personal = this.#personalOf(event.type)
    const parts = personal?.split(dataOf(event))
    if (personal === undefined || parts === undefined) return this.#sealNested(event)
    const owner = personal.ownerOf(dataOf(event))
    // Nobody's: it is masked where people look at it, and stays readable.
    if (owner === undefined) return event
    const { payload: _, isEnvelope: __, ...rest } = event
    const key = this.#ports.keys.get(owner)
    if (key === undefined) return { ...rest, data: parts.plain }
    const plain = Buffer.from(JSON.stringify(parts.personal), 'utf8')
    const bytes = seal(key, plain, { place: placeOf(event, owner), random: this.#ports.random })
    return { ...rest, data: parts.plain, sealed: { person: owner, bytes } }
  }

  #sealNested(event: NewEvent): NewEvent {
    const data = this.#replaceNested(event, spot => {
      const parts = this.#partsOf(spot)
      if (parts === undefined) return spot.data
      const { owner, plain, personal } = parts
      const key = this.#ports.keys.get(owner)
      if (key === undefined) return plain
      const place = placeOf(event, owner)
      const text = Buffer.from(JSON.stringify(personal), 'utf8')
      const bytes = seal(key, text, { place, random: this.#ports.random })
      return { ...(plain as object), [SEALED_MEMBER]: [owner, bytes.toString('base64')] }
    })
    if (data === undefined) return event
    const { payload: _, isEnvelope: __, ...rest } = event
    return { ...rest, data }
  }

  /** The data of a record with others in place of the events inside; undefined for one that has no room for any. */
  #replaceNested(event: NewEvent, replace: (spot: Spot) => unknown): unknown {
    return this.#ports.nested.get(event.stream)?.(dataOf(event), replace)
  }

  #partsOf({
    data,
    types,
  }: Spot):
    { readonly owner: string; readonly plain: unknown; readonly personal: unknown } | undefined {
    for (const type of types) {
      const personal = this.#personalOf(type)
      const owner = personal?.ownerOf(data)
      const parts = owner === undefined ? undefined : personal?.split(data)
      if (owner !== undefined && parts !== undefined) return { owner, ...parts }
    }
    return undefined
  }

  /** The log below compares what is not sealed. */
  async #judge(event: NewEvent, sealed: NewEvent, result: AppendResult): Promise<AppendResult> {
    if (result.status !== 'duplicate' || sealed === event) return result
    const { partition, offset } = result
    const place = { stream: event.stream, partition, from: offset, recordsMax: 1 }
    const [stored] = await this.read(place)
    if (stored?.id !== event.id || isJsonEqual(dataOf(event), stored.data)) return result
    return eventConflict(event.id, 'its data differs')
  }

  declare: EventLog['declare'] = streams => this.#log.declare(streams)
  read: EventLog['read'] = async request => this.#opener.all(await this.#log.read(request))

  async *history(request: Parameters<EventLog['history']>[0]): AsyncGenerator<LogRecord> {
    for await (const record of this.#log.history(request)) yield await this.#opener.one(record)
  }

  version: EventLog['version'] = request => this.#log.version(request)
  seek: EventLog['seek'] = request => this.#log.seek(request)
  ends: EventLog['ends'] = () => this.#log.ends()
  steps: EventLog['steps'] = request => this.#log.steps(request)
  onAdvance: EventLog['onAdvance'] = listener => this.#log.onAdvance(listener)
  stats: EventLog['stats'] = () => this.#log.stats()
  close: EventLog['close'] = () => this.#log.close()
}

/** Opens records. */
class Opener {
  readonly #ports: Omit<SealingPorts, 'random'>

  constructor(ports: Omit<SealingPorts, 'random'>) {
    this.#ports = ports
  }

  /** True when somebody was erased. */
  hasErased(): boolean {
    for (const name of this.#ports.keys.destroyed()) if (!name.startsWith(OTHER_KEYS)) return true
    return false
  }

  async one(record: LogRecord): Promise<LogRecord> {
    const [opened] = await this.all([record])
    return opened as LogRecord
  }

  async all(records: readonly LogRecord[]): Promise<readonly LogRecord[]> {
    const { keys } = this.#ports
    if (!keys.isWhole) {
      const unknown = new Set<string>()
      for (const { sealed } of records) {
        if (sealed === undefined || keys.get(sealed.person) !== undefined) continue
        if (!keys.isDestroyed(sealed.person)) unknown.add(sealed.person)
      }
      if (unknown.size > 0) await keys.load([...unknown])
    }
    const hasErased = this.hasErased()
    return records.map(record => this.#open(record, hasErased))
  }

  #open(record: LogRecord, hasErased: boolean): LogRecord {
    const { personal, nested } = this.#ports
    if (record.sealed === undefined) {
      const isPlain = !hasErased || !personal.has(record.type)
      if (isPlain && !nested.has(record.stream)) return record
    }
    // Records of the tail are the same objects for all readers: they are opened once.
    if (record.memo instanceof OpenedRecord) return record.memo
    const opened = new OpenedRecord(record, this.#ports)
    record.memo = opened
    return opened
  }
}

/** A record with its personal fields, opened when its data is first asked for. */
class OpenedRecord extends RecordView {
  readonly #stored: LogRecord
  readonly #ports: Omit<SealingPorts, 'random'>
  #made: { readonly data: unknown } | undefined = undefined

  constructor(record: LogRecord, ports: Omit<SealingPorts, 'random'>) {
    super(record)
    this.#stored = record
    this.#ports = ports
  }

  override get isErased(): boolean {
    const { keys, personal } = this.#ports
    const { sealed, type, data } = this.#stored
    if (sealed !== undefined && keys.isDestroyed(sealed.person)) return true
    const people = personal.get(type)?.peopleOf(data) ?? []
    return people.some(person => keys.isDestroyed(person))
  }

  get data(): unknown {
    const { sealed, data } = this.#stored
    if (sealed === undefined) return this.#openNested()
    // What was opened before is not to be had after the key was destroyed.
    if (this.#ports.keys.isDestroyed(sealed.person)) return data
    this.#made ??= { data: joinPersonal(data, this.#unseal(sealed)) }
    return this.#made.data
  }

  #openNested(): unknown {
    const { data, stream } = this.#stored
    const replace = this.#ports.nested.get(stream)
    if (replace === undefined) return data
    return replace(data, spot => {
      const member = sealedMember(spot.data)
      if (member === undefined) return spot.data
      const { [SEALED_MEMBER]: _, ...plain } = spot.data
      const [person, text] = member
      if (this.#ports.keys.isDestroyed(person)) return plain
      return joinPersonal(plain, this.#unseal({ person, bytes: Buffer.from(text, 'base64') }))
    })
  }

  #unseal({ person, bytes }: SealedPart): unknown {
    const key = this.#ports.keys.get(person)
    const { id, stream } = this.#stored
    const subject = `The record ${id} of ${stream}`
    if (key === undefined) throw logErrors.create('SEAL_KEY_MISSING', { subject })
    const plain = unseal(key, bytes, placeOf(this.#stored, person))
    return JSON.parse(plain.toString('utf8'))
  }
}

/** What a sealed part is bound to. */
export function placeOf(
  {
    tenant = DEFAULT_TENANT,
    stream,
    type,
    id,
  }: Pick<NewEvent, 'tenant' | 'stream' | 'type' | 'id'>,
  person: string,
): string {
  return [tenant, stream, type, id, person].join('\0')
}
