import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createSeededRandom, isError, silentLogger, systemClock } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import type { EventLog, LogRecord } from '../log.ts'
import { openFileLog, openFileLogView, type LogView } from './index.ts'

const PARTITIONS = 3
const plain = ({ offset, id, key, data }: LogRecord): unknown => ({ offset, id, key, data })

describe('a log that is read beside its owner', () => {
  let root = ''
  let log: EventLog
  let count = 0
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'millrace-view-'))
    log = await openFileLog({
      disk: openNodeDisk(root),
      clock: systemClock,
      random: createSeededRandom(1),
      logger: silentLogger,
      directory: 'log',
      options: { firstSegmentBytes: 8_192, segmentBytes: 8_192, mergeFiles: 2 },
    })
    await log.declare([{ name: 'person', partitions: PARTITIONS }])
  })
  after(async () => {
    await log.close()
    await rm(root, { recursive: true })
  })

  const append = async (batches: number): Promise<void> => {
    for (let batch = 0; batch < batches; batch++) {
      const events = Array.from({ length: 20 }, () => {
        count += 1
        const data = { text: 'x'.repeat(50), count }
        return { stream: 'person', type: 'seen', key: `p${count % 7}`, id: `e${count}`, eventTimeMs: count, data } // prettier-ignore
      })
      await log.commit({ events })
    }
  }
  const openView = (): Promise<LogView> =>
    openFileLogView({ disk: openNodeDisk(root), directory: 'log' })
  const allOf = async (source: Pick<EventLog, 'read' | 'ends'>): Promise<unknown[]> => {
    const all: unknown[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const end = source.ends().get(`person/${partition}`) ?? 0
      for (let from = 0; from < end;) {
        const batch = await source.read({ stream: 'person', partition, from, recordsMax: 37 })
        all.push(...batch.map(plain))
        from += batch.length
      }
    }
    return all
  }

  it('gives the records of the journal and of split files, and new ones after a refresh', async () => {
    await append(40)
    const view = await openView()
    assert.deepEqual(await allOf(view), await allOf(log))
    const { partitions } = view.stats().streams.find(({ stream }) => stream === 'person') ?? {}
    assert.deepEqual(partitions, log.stats().streams.find(({ stream }) => stream === 'person')?.partitions) // prettier-ignore
    const historyIn = async (source: Pick<EventLog, 'history'>): Promise<unknown[]> => {
      const found: unknown[] = []
      for await (const record of source.history({ stream: 'person', keys: ['p3'] })) found.push(plain(record)) // prettier-ignore
      return found
    }
    assert.deepEqual(await historyIn(view), await historyIn(log))
    await append(5)
    const before = view.ends().get('person/0')
    await view.refresh()
    assert.ok((view.ends().get('person/0') ?? 0) > (before ?? 0))
    assert.deepEqual(await allOf(view), await allOf(log))
    await view.close()
    await assert.rejects(view.read({ stream: 'person', partition: 0, from: 0 }), error =>
      isError(error, 'LOG_CLOSED'),
    )
  })

  it('reads on while segments are split and files are merged under it', async () => {
    const view = await openView()
    const writing = append(150)
    const wanted = view.ends().get('person/1') ?? 0
    for (let round = 0; round < 20; round++) {
      const found = await allOf(view)
      assert.ok(found.length >= wanted)
      if (round % 5 === 4) await view.refresh()
    }
    await writing
    await view.refresh()
    assert.deepEqual(await allOf(view), await allOf(log))
    await view.close()
  })

  it('refuses what was removed, and damage that stays', async () => {
    const view = await openView()
    const gone = view.read({ stream: 'person', partition: 0, from: -1 })
    await assert.rejects(gone, error => isError(error, 'LOG_OFFSET_GONE'))
    await view.close()
    const nothing = await openFileLogView({ disk: openNodeDisk(root), directory: 'nothing' })
    assert.equal(nothing.ends().size, 0)
    await nothing.close()
  })

  it('writes nothing', async () => {
    await log.close()
    const before = await readdir(root, { recursive: true })
    const view = await openView()
    await allOf(view)
    await view.close()
    assert.deepEqual(await readdir(root, { recursive: true }), before)
  })
})
