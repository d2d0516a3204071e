/** JSON Schemas of what the module answers. */
import type { JsonSchema } from '@millrace/core'

const text: JsonSchema = { type: 'string' }
const number: JsonSchema = { type: 'number' }
const integer: JsonSchema = { type: 'integer' }
const bool: JsonSchema = { type: 'boolean' }
const attributes: JsonSchema = {
  type: 'object',
  additionalProperties: true,
  description: 'all but personal ones; absent for an item that was never put',
}

/** Schema of an object. */
export function object(
  required: Readonly<Record<string, JsonSchema>>,
  optional: Readonly<Record<string, JsonSchema>> = {},
): JsonSchema {
  return {
    type: 'object',
    properties: { ...required, ...optional },
    required: Object.keys(required),
  }
}

/** Schema of a list. */
export const list = (items: JsonSchema, description?: string): JsonSchema => ({
  type: 'array',
  items,
  ...(description === undefined ? {} : { description }),
})

const servedItem = {
  kind: text,
  id: text,
  slot: { ...integer, description: 'place, from 1' },
  score: number,
  source: { ...text, description: 'the source that added most' },
  propensity: { ...number, description: 'chance that it stood here, given the slots before' },
  isExplored: bool,
}

/** How an answer came about. */
export const explanationSchema = object(
  {
    history: list(object({ kind: text, id: text, title: text })),
    sources: list(object({ name: text, weight: number, proposed: integer, shown: integer })),
    filters: list(object({ name: text, removed: integer })),
    candidates: {
      ...integer,
      description:
        'left after the filters; of a surface that ranks by features, those that were scored',
    },
    scorers: list(text),
    rerankers: list(
      object({ name: text, moved: list(object({ id: text, from: integer, to: integer })) }),
    ),
    limits: list(object({ field: text, max: integer, passed: integer })),
    exploration: object({
      share: number,
      slots: list(object({ slot: integer, alternatives: integer })),
    }),
  },
  { service: { ...text, description: 'the feature service that the surface ranks by; absent where it ranks by its sources' } }, // prettier-ignore
)

const explained = {
  attributes,
  reasons: list(text, 'in words, with `explain`'),
  terms: list(
    object({ stage: text, weight: number, score: number }),
    'with `explain`: the sum of weight times score is the score',
  ),
}

/** What a surface would answer in a branch. */
export const branchAnswerSchema: JsonSchema = object(
  {
    surface: text,
    items: list(
      object(servedItem, {
        ...explained,
        slotBefore: { ...integer, description: 'its slot without the changes; absent for none' },
      }),
    ),
    gone: list(
      object({ kind: text, id: text, slot: integer }, { attributes }),
      'items that are there only without the changes',
    ),
    different: { ...integer, description: 'slots that hold another item' },
    isColdStart: { ...bool, description: 'nothing would be known about the person' },
    isIncomplete: { ...bool, description: 'events of the person would wait: a fold failed' },
  },
  { person: text, explanation: explanationSchema },
)

/** An answer of a surface. */
export const answerSchema: JsonSchema = object(
  {
    answerId: text,
    surface: text,
    items: list(object(servedItem, explained)),
    isColdStart: { ...bool, description: 'nothing is known about the person' },
    definition: text,
    position: { ...text, description: 'what the answer reflects' },
    token: { ...text, description: 'signed: what a client needs to log the exposure itself' },
  },
  {
    person: text,
    isIncomplete: { ...bool, description: 'events of the person wait because a fold failed' },
    explanation: explanationSchema,
  },
)

/** A list of items. */
export const listSchema: JsonSchema = object({
  items: list(object({ kind: text, id: text, score: number }, { attributes })),
})

/** A past answer. */
export const pastAnswerSchema: JsonSchema = object(
  {
    answerId: text,
    surface: text,
    atMs: number,
    definition: text,
    scoring: text,
    explore: number,
    position: text,
    candidates: integer,
    items: list(object({ ...servedItem, title: text }, { attributes })),
    history: list(
      object({ eventId: text, type: text, kind: text, id: text, title: text, atMs: number }),
      "the person's newest signals at that position, newest first",
    ),
  },
  { person: text },
)
