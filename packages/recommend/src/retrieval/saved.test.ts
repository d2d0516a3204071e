import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError, systemClock } from '@millrace/core'
import { createSerialThreads } from '../kernels/threads.ts'
import { Workspace } from '../kernels/workspace.ts'
import { fitAls } from './als.ts'
import { packEvents, placesOf } from './events.ts'
import { fitNeighbours, fitTransitions } from './lists.ts'
import type { Settings } from './model.ts'
import { fitPopularity } from './popularity.ts'
import { fitEase, fitSequence } from './regression.ts'
import { loadModels, saveModels } from './saved.ts'
import { listsOf, type Weighted } from './scoring.ts'
import { createFilter, fitBasis } from './spectral.ts'
import { trainRetrieval } from './train.ts'
import { randomOf } from './validation.ts'

const ITEMS = 21
const random = randomOf(5)
const workspace = new Workspace(createSerialThreads())
const rows = Array.from({ length: 40 }, () => [
  ...new Set(Array.from({ length: 2 + Math.floor(random() * 6) }, () => Math.floor(random() * ITEMS))), // prettier-ignore
])
const events = packEvents(workspace, rows, { items: ITEMS })
const histories = packEvents(workspace, [...rows.slice(0, 9), []], { items: ITEMS })
const itemIds = Array.from({ length: ITEMS }, (_, item) => `item "${item}", ü`)

/** A model of each family. */
async function everyFamily(): Promise<Weighted[]> {
  const places = placesOf(workspace, events)
  const halfLife = Infinity
  const lists = { rowExponent: 0.5, columnExponent: 0.5, width: 7, halfLife }
  const basis = await fitBasis(workspace, events, places, { rank: 16, personExponent: 0.3, itemExponent: 0.4, rounds: 3, seed: 1 }) // prettier-ignore
  const models = [
    fitPopularity(workspace, events, { halfLife }),
    await fitNeighbours(workspace, events, places, { ...lists, personExponent: 0.3 }),
    await fitTransitions(workspace, events, places, { ...lists, lagHalfLife: 2 }),
    createFilter(workspace, events, basis, { rank: 8, inExponent: 0.4, outExponent: 0.25, halfLife }), // prettier-ignore
    await fitEase(workspace, events, places, { lambda: 5, personExponent: 0, halfLife: 5 }),
    await fitSequence(workspace, events, places, { lambda: 5, halfLife: 3, ahead: 5, decay: 0.75 }),
    await fitAls(workspace, events, places, { factors: 16, rounds: 3, unseen: 0.1, lambda: 0.01, steps: 3, halfLife, seed: 1 }), // prettier-ignore
  ]
  return models.map((model, at) => ({ model: model as Weighted['model'], weight: 1 / (at + 1) }))
}

function bytesOf(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let end = 0
  for (const piece of pieces) {
    bytes.set(piece, end)
    end += piece.length
  }
  return bytes
}

test('models of every family answer after they were read as before they were saved', async () => {
  const blend = await everyFamily()
  const about = { trained: 'by a test' }
  const saved = bytesOf(saveModels({ blend, items: ITEMS, itemIds, about }))
  // Another workspace, as another process has it; an odd place in a larger buffer.
  const other = new Workspace(createSerialThreads())
  const loaded = loadModels(other, bytesOf([new Uint8Array(3), saved]).subarray(3))
  assert.deepEqual(loaded.itemIds, itemIds)
  assert.deepEqual(loaded.about, about)
  const asked = packEvents(other, [...rows.slice(0, 9), []], { items: ITEMS })
  for (const [at, weighted] of blend.entries()) {
    const one = loaded.blend[at] as Weighted
    assert.deepEqual(one.model.settings, weighted.model.settings)
    assert.equal(one.weight, weighted.weight)
    assert.deepEqual(
      await listsOf(other, [one], asked, 5),
      await listsOf(workspace, [weighted], histories, 5),
      weighted.model.family,
    )
  }
  const before = bytesOf(saveModels(loaded))
  assert.deepEqual(before, saved)
  loaded.release()
  blend.forEach(({ model }) => model.release())
})

test('what a training chose is saved and read', async () => {
  const isOrdered = true
  const options = { isOrdered, ks: [5], seed: 1, clock: systemClock, isFast: true }
  const trained = await trainRetrieval(workspace, events, options)
  const wanted = await listsOf(workspace, trained.blend, histories, 5)
  const bytes = bytesOf(saveModels({ blend: trained.blend, items: ITEMS }))
  trained.release()
  const loaded = loadModels(workspace, bytes)
  assert.deepEqual(await listsOf(workspace, loaded.blend, histories, 5), wanted)
  assert.equal(loaded.itemIds, undefined)
  loaded.release()
})

test('no bytes that were cut short or changed are taken for models', async () => {
  const blend = await everyFamily()
  const saved = bytesOf(saveModels({ blend, items: ITEMS, itemIds }))
  const refuses = (bytes: Uint8Array, what: string): void =>
    assert.throws(() => loadModels(workspace, bytes), (error: unknown) => isError(error, 'MODEL_DAMAGED') || isError(error, 'MODEL_UNSUPPORTED'), what) // prettier-ignore
  for (let length = 0; length < saved.length; length += 1 + Math.floor(random() * 97))
    refuses(saved.subarray(0, length), `${length} bytes`)
  const headerEnd = 8 + Number(new DataView(saved.buffer).getBigUint64(0, true))
  for (let trial = 0; trial < 300; trial++) {
    const bytes = saved.slice()
    const at = headerEnd + Math.floor(random() * (saved.length - headerEnd))
    bytes[at]! ^= 1 << Math.floor(random() * 8)
    refuses(bytes, `bit of byte ${at}`)
  }
  blend.forEach(({ model }) => model.release())
})

/** The header of the saved models of `settings` changed as text, with the arrays as they are. */
async function withHeader(change: (text: string) => string): Promise<Uint8Array> {
  const blend = await everyFamily()
  const [head = new Uint8Array(), ...pieces] = saveModels({ blend, items: ITEMS, itemIds })
  const text = new TextEncoder().encode(change(new TextDecoder().decode(head.subarray(8))))
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true)
  const bytes = bytesOf([length, text, ...pieces])
  blend.forEach(({ model }) => model.release())
  return bytes
}

const replaced = (from: string | RegExp, to: string) => (text: string) => {
  assert.notEqual(text.replace(from, to), text, String(from))
  return text.replace(from, to)
}

const LIES: readonly (readonly [what: string, change: (text: string) => string, place: RegExp])[] =
  [
    ['no JSON', replaced('{', '<'), /header: it is no JSON/],
    ['no object', () => '[]', /header: it is no object/],
    ['of somebody else', replaced('"millrace":"1"', '"format":"pt"'), /of no model of Millrace/],
    ['metadata of numbers', replaced('"millrace":"1"', '"millrace":1'), /__metadata__/],
    ['more items', replaced('"items":"21"', '"items":"22"'), /itemIds/],
    ['items that are none', replaced('"items":"21"', '"items":"many"'), /items/],
    ['no models', replaced(/"models":"\[.*?\]"/, '"models":"{}"'), /models: they are no list/],
    [
      'models as broken text',
      replaced(/"models":"\[.*?\]"/, '"models":"["'),
      /models: it is no JSON/,
    ],
    ['another family', replaced(/\\"ease\\"/, String.raw`\"best\"`), /model 4/],
    ['no weight', replaced(/\\"weight\\":1,/, ''), /model 0/],
    ['wider lists', replaced(/\\"width\\":7/, String.raw`\"width\":8`), /1\.listIds.*expected I32 \[21, 8\]/], // prettier-ignore
    ['half a list', replaced(/\\"width\\":7/, String.raw`\"width\":0.5`), /setting width: it cannot be 0.5/], // prettier-ignore
    ['no half-life', replaced(/\\"halfLife\\":5/, String.raw`\"halfLife\":0`), /model 4, setting halfLife/], // prettier-ignore
    ['a larger rank', replaced(/\\"rank\\":8/, String.raw`\"rank\":20`), /3\.vectors/],
    ['an array that is not there', replaced('4.table', '4.tables'), /4\.table: it is not there/],
    ['an array without a place', replaced(/"data_offsets":\[0,/, '"data_offset":[0,'), /0\.counts/],
    ['a gap', replaced(/"data_offsets":\[0,84\]/, '"data_offsets":[4,88]'), /0\.counts: it begins at 4/], // prettier-ignore
    ['less than its shape', replaced(/"data_offsets":\[0,84\]/, '"data_offsets":[0,80]'), /0\.counts: 80 bytes/], // prettier-ignore
  ]

test('a header that lies is refused where it lies, and nothing stays taken', async () => {
  for (const [what, change, place] of LIES) {
    const bytes = await withHeader(change)
    assert.throws(() => loadModels(workspace, bytes), place, what)
  }
  const unknown = await withHeader(replaced('"millrace":"1"', '"millrace":"2"'))
  assert.throws(() => loadModels(workspace, unknown), (error: unknown) => isError(error, 'MODEL_UNSUPPORTED')) // prettier-ignore
  const fresh = new Workspace(createSerialThreads())
  const probe = (): number => {
    const array = fresh.floats(1)
    fresh.free(array)
    return array.byteOffset
  }
  const first = probe()
  const bad = await withHeader(replaced('6.gram', '6.grams'))
  assert.throws(() => loadModels(fresh, bad), /6\.gram: it is not there/)
  assert.equal(probe(), first)
})

test('numbers that are none and items that do not exist are refused', () => {
  const model = (family: 'popularity' | 'neighbours', settings: Settings, parts: Weighted['model']['parts']): Weighted => ({ weight: 1, model: { family, settings, parts, score: async () => undefined, release: () => undefined } }) // prettier-ignore
  const refused = (one: Weighted, place: RegExp): void =>
    assert.throws(() => loadModels(workspace, bytesOf(saveModels({ blend: [one], items: 2 }))), place) // prettier-ignore
  refused(
    model('popularity', {}, { counts: Float32Array.of(1, NaN) }),
    /0\.counts: a number is not/,
  )
  const listIds = Int32Array.of(1, 2)
  const parts = { listIds, listValues: Float32Array.of(1, 1) }
  refused(model('neighbours', { width: 1, halfLife: Infinity }, parts), /0\.listIds: an item/)
})
