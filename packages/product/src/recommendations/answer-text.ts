/**
 * Answers and exposures as JSON text, put together from texts of items that are made once for each
 * version of an item. What an answer costs over HTTP is then mostly the bytes.
 */
import type { Position } from '@millrace/core'
import type { ItemIndex } from '../catalogue/index.ts'
import { mainSource } from './answer-builder.ts'
import type { RankRequest, Ranker } from './ranker.ts'

/** An answer as JSON text, with the position that it reflects. */
export interface AnswerText {
  readonly json: string
  readonly position: Position
}

/** What an answer says beside its items. */
export interface AnswerHead {
  readonly answerId: string
  /** JSON text of the exposure. */
  readonly exposure: string
  readonly position: string
  readonly positionVector: Position
  readonly isColdStart: boolean
  readonly isIncomplete: boolean
}

/** The slots of a slate as text. */
export interface SlateTexts {
  /** JSON array of an answer's items, without explanations; empty text when only the slots are wanted. */
  readonly items: string
  /** JSON array of an exposure's slots (`ExposedSlot`). */
  readonly slots: string
}

/** Texts of the slate that a ranker found; call before `release`. */
export function slateTexts(
  index: ItemIndex,
  ranker: Ranker,
  request: RankRequest,
  isAnswer: boolean,
): SlateTexts {
  const { slate } = ranker
  const { sources } = request.surface
  let items = ''
  let slots = ''
  let lastChance = -1
  let chance = ''
  for (let slot = 0; slot < slate.size; slot++) {
    const item = slate.items[slot] as number
    const text = index.textOf(item)
    const score = ranker.totalOf(item)
    const source = mainSource(request.surface, ranker, item)
    const name = source < 0 ? '' : (sources[source]?.name ?? '')
    const propensity = slate.propensities[slot] as number
    if (propensity !== lastChance) {
      lastChance = propensity
      chance = String(propensity)
    }
    const isExplored = slate.explored[slot] === 1
    const comma = slot === 0 ? '' : ','
    if (isAnswer) {
      items +=
        `${comma}{${text.name},"slot":${slot + 1},"score":${score},"source":${quoted(name)},` +
        `"propensity":${chance},"isExplored":${isExplored}${text.attributes}}`
    }
    slots += `${comma}[${text.key},${source},${rounded(score)},${chance},${isExplored ? 1 : 0}]`
  }
  return { items: isAnswer ? `[${items}]` : '', slots: `[${slots}]` }
}

/** JSON text of an answer without an explanation. */
export function answerText(parts: {
  readonly request: RankRequest
  readonly head: AnswerHead
  /** JSON array of the items. */
  readonly items: string
  readonly token: string
  readonly definition: string
}): string {
  const { request, head, items, token, definition } = parts
  const { surface, person } = request
  return (
    `{"answerId":"${head.answerId}","surface":${JSON.stringify(surface.name)}` +
    (person === undefined ? '' : `,"person":${JSON.stringify(person)}`) +
    `,"items":${items},"isColdStart":${head.isColdStart}` +
    (head.isIncomplete ? ',"isIncomplete":true' : '') +
    `,"definition":${JSON.stringify(definition)}` +
    `,"position":${JSON.stringify(head.position)},"token":"${token}"}`
  )
}

const quotedNames = new Map<string, string>()

/** A name from the definition as a JSON string. */
function quoted(name: string): string {
  let text = quotedNames.get(name)
  if (text === undefined) quotedNames.set(name, (text = JSON.stringify(name)))
  return text
}

/** A score with at least six significant digits, or six places for the usual sizes. */
function rounded(score: number): string {
  if (score < 0.1 || score >= 1_000) return String(Number(score.toPrecision(6)))
  const millionths = Math.round(score * 1e6)
  const whole = Math.floor(millionths / 1e6)
  return `${whole}.${String(1e6 + millionths - whole * 1e6).slice(1)}`
}
