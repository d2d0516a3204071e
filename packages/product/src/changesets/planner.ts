/** Makes plans: the rows that a request means, with the values of now, as entries on the log. */
import { encodePosition } from '@millrace/core'
import { isJsonEqual } from '@millrace/log'
import type { ModuleContext } from '../module.ts'
import {
  isRefusedRow,
  type ChangeKind,
  UNCHANGED,
  type PlannedChange,
  type RefusedRow,
} from './change-kind.ts'
import { EntryWriter, WRITES_MAX_DEFAULT } from './entries.ts'
import { changesetErrors } from './errors.ts'
import type { Entry, Plan } from './events.ts'

/** Longer requests are known by their hash alone. */
const REQUEST_CHARACTERS_KEPT = 4096

/**
 * The plan of a request, with its entries on the log. Throws CHANGESET_INVALID when nothing would
 * change.
 */
export async function planOf(
  context: Pick<ModuleContext, 'log' | 'clock' | 'newId'>,
  kind: ChangeKind,
  { title, requestHash, request }: { title: string; requestHash: string; request: unknown },
): Promise<Plan> {
  const position = encodePosition(new Map(context.log.ends()))
  const plan = context.newId()
  const entriesMax = kind.writesMax ?? WRITES_MAX_DEFAULT
  const writer = new EntryWriter(context, {
    plan,
    entriesMax,
    ...(kind.erased === undefined ? {} : { erased: kind.erased.bind(kind) }),
    kind: kind.name,
    position,
    requestHash,
  })
  const seen = new Set<string>()
  let unchanged = 0
  let refusal: Entry | undefined
  for await (const rows of inParts(kind.plan(request), entriesMax)) {
    const values = await kind.read(rows.flatMap(row => (isRefusedRow(row) ? [] : [row.target])))
    let next = 0
    for (const row of rows) {
      const entry = isRefusedRow(row) ? row : entryOf(row, values[next++], seen)
      if (entry?.refused !== undefined) refusal ??= entry
      if (entry === undefined || entry.refused?.code === UNCHANGED) unchanged += 1
      if (entry !== undefined) await writer.add(entry)
    }
  }
  const { chunks, hash, erasedHash } = await writer.end()
  const { entries, effects, refused } = writer
  if (effects === 0) throw wouldChangeNothing({ unchanged, refused, refusal })
  const isShort = JSON.stringify(request).length <= REQUEST_CHARACTERS_KEPT
  return {
    kind: kind.name,
    title,
    ...(isShort ? { request } : {}),
    requestHash,
    plan,
    position,
    hash,
    erasedHash,
    chunks,
    entries,
    effects,
    refused,
    unchanged,
  }
}

/** The rows of a plan, as many at a time as are read together. */
async function* inParts(
  rows: AsyncIterable<PlannedChange | RefusedRow> | Iterable<PlannedChange | RefusedRow>,
  most: number,
): AsyncGenerator<readonly (PlannedChange | RefusedRow)[], void> {
  let part: (PlannedChange | RefusedRow)[] = []
  for await (const row of rows) {
    part.push(row)
    if (part.length < most) continue
    yield part
    part = []
  }
  if (part.length > 0) yield part
}

/** The entry of a row; undefined when it changes nothing. */
function entryOf(
  { target, change }: PlannedChange,
  reading: { readonly value: unknown; readonly refused?: Entry['refused'] } | undefined,
  seen: Set<string>,
): Entry | undefined {
  if (seen.has(target)) {
    return { target, refused: { code: 'TARGET_TWICE', reason: 'it is named twice' } }
  }
  seen.add(target)
  if (reading?.refused !== undefined) return { target, refused: reading.refused }
  const before = reading?.value
  const changed = change(before)
  if ('refused' in changed) return { target, refused: changed.refused }
  const after = changed.value
  if (isJsonEqual(before, after)) return undefined
  return {
    target,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  }
}

function wouldChangeNothing({
  unchanged,
  refused,
  refusal,
}: {
  readonly unchanged: number
  readonly refused: number
  readonly refusal: Entry | undefined
}): Error {
  // prettier-ignore
  const why = refusal === undefined ? '' : `, the first, ${refusal.target}, because ${refusal.refused?.reason}` // prettier-ignore
  const reason = `it would change nothing: ${unchanged} rows are so already, ${refused} are refused${why}` // prettier-ignore
  return changesetErrors.create('CHANGESET_INVALID', { reason, unchanged, refused })
}
