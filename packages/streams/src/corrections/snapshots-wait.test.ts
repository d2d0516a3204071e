/** Snapshots while something is corrected: they wait for it, and not for ever. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemClock } from '@millrace/core'
import { openMemoryLog } from '@millrace/log/memory'
import type { FoldDefinition } from '../fold.ts'
import { TextShard, textEvent } from '../testing/folds.ts'
import { TestWorld, turn } from '../testing/world.ts'

const EVERY = 5
const TURNS = 50

function foldOf(source: string): FoldDefinition {
  const createShard = (): TextShard => new TextShard((state, { id }) => `${state} ${id}`)
  return { name: `ids.${source}`, version: '1', source, onFailure: 'park', createShard }
}

it('writes no snapshots while an event is corrected, unless that takes long', async () => {
  let nowMs = 1_000_000
  let release = (): void => undefined
  let isAsked = false
  const world = new TestWorld([foldOf('person'), foldOf('clip')])
  world.settings = { snapshotEveryRecords: EVERY, snapshotEveryMs: 1e9 }
  world.clock = { ...systemClock, monotonicMs: () => nowMs }
  world.openLog = options => {
    const log = openMemoryLog(options)
    const history = log.history.bind(log)
    log.history = async function* (request) {
      isAsked = true
      await new Promise<void>(resolve => (release = resolve))
      yield* history(request)
    }
    return log
  }
  await world.open()
  const saved: string[] = []
  const save = world.snapshots.save.bind(world.snapshots)
  world.snapshots.save = (name, meta, chunks) => {
    saved.push(name)
    return save(name, meta, chunks)
  }
  let sent = 0
  const send = async (stream: string): Promise<void> => {
    for (let count = 0; count < EVERY; count++, sent++) {
      await world.commit(textEvent(stream, 'k', `e${sent}`, { id: `e${sent}` }))
    }
    await world.streams.reached({
      position: new Map([...world.log.ends()].filter(([name]) => name.startsWith('clip/'))),
      folds: ['ids.clip'],
      timeoutMs: 600_000,
    })
    for (let count = 0; count < TURNS; count++) await turn()
  }
  await send('person')
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await turn()
  }
  await until(() => saved.includes('ids.person'))
  const corrections = [{ id: 'e1', action: 'retract' as const }]
  const applied = world.streams.corrections.apply({ corrections, reason: 'a test', by: 'nobody' })
  await until(() => isAsked)
  saved.length = 0
  await send('clip')
  assert.equal(saved.length, 0)
  nowMs += 31_000
  await send('clip')
  assert.deepEqual([...new Set(saved)], ['ids.clip'])
  release()
  await applied
  await until(() => saved.includes('ids.person'))
  assert.match(world.stateOf('ids.person', 'k') ?? '', /^ e0 e2/)
  await world.streams.close()
})
