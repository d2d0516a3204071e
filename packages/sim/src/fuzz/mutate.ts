/**
 * Inputs for a fuzzer: valid ones with things done to them that parsers get wrong. An input follows
 * from the seed and its number alone, so that one that found something is made again at once.
 */
import { createSimRandom, type SimRandom } from '../random.ts'

/** Numbers at the edges of what fields of one, two, four and eight bytes hold. */
const EDGES = [0, 1, 7, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]
const INPUT_BYTES_MAX = 64 * 1024
const CHANGES_MAX = 6
const COPIES_MAX = 200

/** What inputs are made from. */
export interface Corpus {
  /** Valid inputs; at least one. */
  readonly valid: readonly Uint8Array[]
  /** Texts that mean something to the parser. */
  readonly words?: readonly string[]
  /** Repairs checksums after a change, so that it is looked at and not only refused. */
  readonly reseal?: (input: Buffer) => void
}

/** The input with this number: a valid one for each of the first numbers, changed ones after. */
export function inputOf(
  corpus: Corpus,
  { seed, number }: { seed: number; number: number },
): Buffer {
  const { valid, reseal } = corpus
  if (number < valid.length) return Buffer.from(valid[number] as Uint8Array)
  const random = createSimRandom(`${seed}/${number}`)
  let input: Buffer = Buffer.from(random.pick(valid))
  for (let changes = 1 + random.integer(CHANGES_MAX); changes > 0; changes--) {
    input = changed(input, corpus, random).subarray(0, INPUT_BYTES_MAX)
  }
  if (reseal !== undefined && random.chance(0.7)) reseal(input)
  return input
}

type Change = (input: Buffer, corpus: Corpus, random: SimRandom) => Buffer

const splice = (input: Buffer, at: number, removed: number, put: Uint8Array): Buffer =>
  Buffer.concat([input.subarray(0, at), put, input.subarray(at + removed)])

const part = (bytes: Uint8Array, random: SimRandom): Uint8Array => {
  const start = random.integer(bytes.length + 1)
  return bytes.subarray(start, start + random.integer(Math.min(bytes.length - start, 200) + 1))
}

const CHANGES: readonly Change[] = [
  // A bit, a byte, an edge over a field of some width.
  (input, _corpus, random) => {
    if (input.length > 0) {
      const at = random.integer(input.length)
      input[at] = (input[at] as number) ^ (1 << random.integer(8))
    }
    return input
  },
  (input, _corpus, random) => {
    if (input.length > 0) input[random.integer(input.length)] = random.integer(256)
    return input
  },
  (input, _corpus, random) => {
    const width = random.pick([2, 4])
    if (input.length < width) return input
    const at = random.integer(input.length - width + 1)
    const value = random.pick(EDGES) % 2 ** (8 * width)
    input.writeUIntLE(value, random.chance(0.5) ? at - (at % width) : at, width)
    return input
  },
  // Cut off, taken out, put in twice, brought in from another input.
  (input, _corpus, random) => input.subarray(0, random.integer(input.length + 1)),
  (input, _corpus, random) =>
    splice(input, random.integer(input.length + 1), random.integer(50), Buffer.alloc(0)),
  (input, _corpus, random) =>
    splice(input, random.integer(input.length + 1), 0, part(input, random)),
  (input, { valid }, random) =>
    splice(
      input,
      random.integer(input.length + 1),
      random.integer(20),
      part(random.pick(valid), random),
    ),
  // A word, and many of the same.
  (input, { words = ['\0'] }, random) =>
    splice(input, random.integer(input.length + 1), 0, Buffer.from(random.pick(words))),
  (input, { words = ['\0'] }, random) => {
    const copies = random.pick(words).repeat(random.integer(COPIES_MAX))
    return splice(input, random.integer(input.length + 1), 0, Buffer.from(copies))
  },
]

const changed: Change = (input, corpus, random) => random.pick(CHANGES)(input, corpus, random)
