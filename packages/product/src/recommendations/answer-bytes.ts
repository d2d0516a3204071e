/**
 * Answers and exposures as JSON bytes, put together from pieces that are made once: for each version
 * of an item, and for each surface. What an answer costs over HTTP is then mostly the bytes.
 */
import type { Position } from '@millrace/core'
import type { ItemIndex } from '../catalogue/index.ts'
import { mainSource } from './answer-builder.ts'
import { SOURCES_MAX, type CompiledSurface } from './compiled-surface.ts'
import { JsonBytes } from './json-bytes.ts'
import type { Ranker } from './ranker.ts'
import type { PreparedRequest } from './requests.ts'

/** An answer with the position that it reflects. */
export interface AnswerBytes {
  /** JSON in UTF-8, as a text of one character for each byte (latin1). */
  readonly json: string
  readonly position: Position
}

/** What an answer says beside its items. */
export interface AnswerHead {
  readonly answerId: string
  /** JSON of the exposure. */
  readonly exposure: Buffer
  readonly position: string
  readonly positionVector: Position
  readonly isColdStart: boolean
  readonly isIncomplete: boolean
}

/** What follows the score of a slot: source, chance, explored or not; in an exposure up to the comma. */
interface SlotEnd {
  readonly answer: Buffer
  readonly exposure: Buffer
}

/** Pieces of one surface. */
interface SurfacePieces {
  /** Its name as a JSON string. */
  readonly name: string
  /** Members of an exposure after the person, up to the position. */
  readonly about: string
  /** Members of an exposure after the number of candidates, up to its slots. */
  readonly sources: string
  /** Ends of slots that are not explored, by source from -1, for the last chance that was seen. */
  ends: readonly SlotEnd[]
  chance: number
  /** Ends of explored slots, by source from -1, by chance: a share of the number of candidates, so that few come often. */
  readonly explored: Map<number, readonly SlotEnd[]>
}

/** Chances of explored slots that are kept for a surface. */
const CHANCES_MAX = 2048

const piece = (text: string): Buffer => Buffer.from(text, 'utf8')

/** Writes answers and exposures; call it before the ranker's `release`. */
export class AnswerWriter {
  readonly #index: ItemIndex
  readonly #ranker: Ranker
  readonly #fingerprint: string
  readonly #scoring: string
  /** Member of an answer. */
  readonly #definition: string
  readonly #json = new JsonBytes()
  readonly #pieces = new Map<CompiledSurface, SurfacePieces>()
  readonly #slotPieces: Buffer[] = []
  /** Places of sources in an exposure, from -1. */
  readonly #sourcePieces = Array.from({ length: SOURCES_MAX + 1 }, (_, at) => piece(`,${at - 1},`))
  /** Ends of the slots of the slate. */
  readonly #ends: SlotEnd[] = []

  constructor(ports: {
    readonly index: ItemIndex
    readonly ranker: Ranker
    /** Fingerprint of the definition. */
    readonly definition: string
    /** Version of the scoring. */
    readonly scoring: string
  }) {
    this.#index = ports.index
    this.#ranker = ports.ranker
    this.#fingerprint = JSON.stringify(ports.definition)
    this.#scoring = JSON.stringify(ports.scoring)
    this.#definition = `,"definition":${this.#fingerprint}`
  }

  /** JSON of the exposure (`Exposure`) of the slate that the ranker found. */
  exposure(
    { surface, person, answerId, asked }: PreparedRequest,
    head: {
      readonly position: string
      /** `ExposedState` as JSON, and the members that belong to it. */ readonly state: string
    },
  ): Buffer {
    const json = this.#json.begin()
    const pieces = this.#piecesOf(surface)
    const { slate, poolSize } = this.#ranker
    json.ascii(`{"a":"${answerId}","s":`).text(pieces.name)
    if (person !== undefined) json.text(`,"p":${JSON.stringify(person)}`)
    json.text(pieces.about).ascii(`${head.position}","n":${poolSize},"x":${head.state}`)
    if (asked !== undefined) json.text(`,"q":${JSON.stringify(asked)}`)
    json.text(pieces.sources)
    for (let slot = 0; slot < slate.size; slot++) {
      const item = slate.items[slot] as number
      const source = mainSource(surface, this.#ranker, item)
      const end = this.#endOf(surface, pieces, slot, source)
      this.#ends[slot] = end
      const { bytes, nameAt } = this.#index.jsonOf(item)
      json.part(bytes, 0, nameAt).bytes(this.#sourcePieces[source + 1] as Buffer)
      json.score(this.#ranker.totalOf(item)).bytes(end.exposure)
    }
    if (slate.size > 0) json.takeBack()
    return json.ascii(']}').end()
  }

  /** The bytes (`AnswerBytes.json`) of the answer without an explanation. Call `exposure` for the same slate before. */
  answer({ surface, person }: PreparedRequest, head: AnswerHead, token: string): string {
    const json = this.#json.begin()
    const { slate } = this.#ranker
    json.ascii(`{"answerId":"${head.answerId}","surface":`).text(this.#piecesOf(surface).name)
    if (person !== undefined) json.text(`,"person":${JSON.stringify(person)}`)
    json.ascii(',"items":[')
    while (this.#slotPieces.length < slate.size) {
      this.#slotPieces.push(piece(`,"slot":${this.#slotPieces.length + 1},"score":`))
    }
    for (let slot = 0; slot < slate.size; slot++) {
      const item = slate.items[slot] as number
      const { bytes, nameAt, attributesAt } = this.#index.jsonOf(item)
      json.part(bytes, nameAt, attributesAt).bytes(this.#slotPieces[slot] as Buffer)
      json.score(this.#ranker.totalOf(item))
      json.bytes((this.#ends[slot] as SlotEnd).answer).part(bytes, attributesAt, bytes.length)
    }
    if (slate.size > 0) json.takeBack()
    json.ascii(
      `],"isColdStart":${head.isColdStart}${head.isIncomplete ? ',"isIncomplete":true' : ''}`,
    )
    json.text(this.#definition).ascii(`,"position":"${head.position}","token":"`)
    return `${json.endText()}${token}"}`
  }

  /** What follows the score of a slot. Nearly all slots have the chance of the best candidate. */
  #endOf(surface: CompiledSurface, pieces: SurfacePieces, slot: number, source: number): SlotEnd {
    const { propensities, explored } = this.#ranker.slate
    const chance = propensities[slot] as number
    if (explored[slot] === 1) {
      let known = pieces.explored.get(chance)
      if (known === undefined) {
        if (pieces.explored.size >= CHANCES_MAX) pieces.explored.clear()
        known = slotEnds(surface, { chance, isExplored: true })
        pieces.explored.set(chance, known)
      }
      return known[source + 1] as SlotEnd
    }
    if (pieces.chance !== chance) {
      pieces.chance = chance
      pieces.ends = slotEnds(surface, { chance, isExplored: false })
    }
    return pieces.ends[source + 1] as SlotEnd
  }

  #piecesOf(surface: CompiledSurface): SurfacePieces {
    let pieces = this.#pieces.get(surface)
    if (pieces === undefined) {
      const { explore } = surface.definition
      pieces = {
        name: JSON.stringify(surface.name),
        about: `,"d":${this.#fingerprint},"v":${this.#scoring},"e":${explore},"r":"`,
        sources: `,"c":${surface.sourcesText},"i":[`,
        ends: [],
        chance: -1,
        explored: new Map(),
      }
      this.#pieces.set(surface, pieces)
    }
    return pieces
  }
}

/** What follows the score of a slot, by source from -1. */
function slotEnds(
  surface: CompiledSurface,
  { chance, isExplored }: { readonly chance: number; readonly isExplored: boolean },
): readonly SlotEnd[] {
  return [undefined, ...surface.sources].map(source => ({
    answer: piece(
      `,"source":${JSON.stringify(source?.name ?? '')},"propensity":${chance},"isExplored":${isExplored}`,
    ),
    exposure: piece(`,${chance},${isExplored ? 1 : 0}],`),
  }))
}
