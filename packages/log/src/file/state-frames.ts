/** Whether the JSON of a frame has the shape that `state.ts` writes: what it is trusted for when it is read. */
import { PARTITIONS_MAX } from '../admission.ts'
import { KIND } from './layout.ts'
import { NAME_SPACES } from './names.ts'

type Test = (value: unknown) => boolean

const isText: Test = value => typeof value === 'string'
const isCount: Test = value => Number.isSafeInteger(value) && (value as number) >= 0
/** JSON writes null for infinite numbers. */
const isTime: Test = value => value === null || typeof value === 'number'
const isList =
  (test: Test): Test =>
  value =>
    Array.isArray(value) && value.every(test)
const isEnd: Test = value => Array.isArray(value) && isText(value[0]) && isCount(value[1])
const isOptional =
  (test: Test): Test =>
  value =>
    value === undefined || test(value)
const isObject =
  (tests: Readonly<Record<string, Test>>): Test =>
  value =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(tests).every(([name, test]) => test((value as Record<string, unknown>)[name]))

const declared = {
  name: isText,
  partitions: ((value: unknown) =>
    isCount(value) && (value as number) >= 1 && (value as number) <= PARTITIONS_MAX) as Test,
  latenessMs: isOptional(isTime),
  skewMs: isOptional(isTime),
  transient: isOptional(isObject({})),
}
const isParked = isList(isObject({ key: isText, offset: isCount, error: isText }))
const place = { processor: isText, generation: isCount, stream: isText, partition: isCount }

const isStreamState: Test = value => {
  if (!isObject({ declared: isObject(declared), ends: isList(isCount), watermarksMs: isList(isTime) })(value)) return false // prettier-ignore
  const stream = value as { declared: { partitions: number }; ends: unknown[]; watermarksMs: unknown[] } // prettier-ignore
  const { partitions } = stream.declared
  return stream.ends.length === partitions && stream.watermarksMs.length === partitions
}

const SHAPES: Readonly<Record<number, Test>> = {
  [KIND.name]: isObject({
    space: value => NAME_SPACES.some(space => space === value),
    name: isText,
  }),
  [KIND.stream]: isObject(declared),
  [KIND.step]: isObject({
    ...place,
    from: isCount,
    to: isCount,
    emitted: isList(isEnd),
    parked: isOptional(isParked),
    released: isOptional(isList(isText)),
  }),
  [KIND.checkpoint]: isObject({
    streams: isList(isStreamState),
    names: isObject(Object.fromEntries(NAME_SPACES.map(space => [space, isList(isText)]))),
    steps: isList(isObject({ ...place, consumed: isCount, ends: isList(isEnd), parked: isParked })),
    lastIngestMs: isTime,
  }),
}

/** True when a value is what a frame of this kind holds. */
export function isStateFrame(kind: number, value: unknown): boolean {
  return SHAPES[kind]?.(value) ?? false
}
