/** What the fuzzer does to this package: the snapshots of folds. */
import { countView, event, id, int, item, text, tumbling, view } from '@millrace/core'
import type { FuzzTarget } from '@millrace/sim'
import { NO_CORRECTIONS } from '../corrections/contract.ts'
import { Lane } from '../lane.ts'
import { LaneCapture, readLanes, restoring } from '../snapshot-codec.ts'
import { compileViews, viewFoldName } from '../views/compile.ts'
import { TestWorld } from './world.ts'

const Clip = item('clip', { topic: text() })
const watched = event('watched', { viewer: id('person'), clip: id('clip'), ms: int() }, { key: 'viewer' }) // prettier-ignore
const from = [watched] as const

/** A view with all that a snapshot holds of one: states, timers, what was read of a table, keys that wait. */
const topics = view({
  from,
  key: 'viewer',
  join: { clip: Clip },
  initial: () => ({ seen: {} as Record<string, number> }),
  fold({ seen }, { data, atMs }, { tables, timer }) {
    if (data.ms < 0) throw new Error('a view of no length')
    const topic = tables.clip(data.clip)?.topic ?? 'none'
    seen[topic] = (seen[topic] ?? 0) + 1
    timer('end', atMs + 10_000)
  },
  onTimer: ({ seen }) => ({ seen: { ...seen, ended: 1 } }),
})
const hours = countView({ from, key: 'viewer', window: tumbling('1h') })
const compiled = compileViews({ views: { topics, hours }, partitions: 1, latenessMs: 0 })

/** Chunks in one input: `u32 bytes | chunk`, the last as long as it is. */
function* chunksIn(input: Buffer): Generator<Uint8Array> {
  for (let at = 0; at + 4 <= input.length;) {
    const end = at + 4 + input.readUInt32LE(at)
    yield input.subarray(at + 4, end)
    at = end
  }
}

async function framed(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of chunks) {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(chunk.length)
    parts.push(length, Buffer.from(chunk))
  }
  return Buffer.concat(parts)
}

function createSnapshots(name: string): FuzzTarget {
  const fold = viewFoldName(name)
  const definition = compiled.folds.find(each => each.name === fold)
  if (definition === undefined) throw new Error(`there is no fold ${fold}`)
  const createLane = (): Lane =>
    new Lane({
      definition,
      partition: 0,
      partitions: 1,
      tenant: 'default',
      emitter: { fold, generation: 0, definition: undefined, targets: new Map() } as never,
      generations: new Set([0]),
      tables: { asOf: () => undefined },
      amendments: new Map(),
      corrections: NO_CORRECTIONS,
      isPersonal: false,
    })
  return {
    name: `snapshot-${name}`,
    shortRuns: 1_000,
    async corpus() {
      const world = new TestWorld(compiled.folds)
      world.tables = compiled.tables
      world.extraStreams = compiled.streams
      await world.open()
      const events = Array.from({ length: 40 }, (_, number) => {
        const viewer = `p${number % 5}`
        const data = { viewer, clip: `c${number % 3}`, ms: number === 30 ? -1 : 1 }
        const atMs = 1_767_607_200_000 + number * 600_000
        return { stream: 'person', type: 'watched', key: viewer, eventTimeMs: atMs, data, id: `w${number}` } // prettier-ignore
      })
      await world.commit(...events)
      await world.settle()
      await world.streams.close()
      const snapshot = await world.snapshots.load(fold)
      if (snapshot === undefined) throw new Error('there is no snapshot')
      return {
        valid: [await framed(snapshot.chunks)],
        words: ['null', '[', '{"', '1e308', '"timers":', '"reads":', '"tiles":', '\u0004', '-1'],
      }
    },
    async run(input) {
      for await (const image of readLanes(fold, chunksOf(input))) {
        const lane = createLane()
        for (const _ of restoring(lane, image));
        // What was taken is written again.
        for await (const _ of new LaneCapture(lane, { tables: {} }).chunks(NEVER_OVER as never));
      }
    },
  }
}

const NEVER_OVER = { isOver: () => false }

async function* chunksOf(input: Buffer): AsyncGenerator<Uint8Array> {
  yield* chunksIn(input)
}

/** The targets. */
export const targets: readonly FuzzTarget[] = ['topics', 'hours'].map(createSnapshots)
