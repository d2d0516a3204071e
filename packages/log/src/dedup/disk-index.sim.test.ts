import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError, silentLogger, type Clock, type Disk, type Random } from '@millrace/core'
import {
  createSimWorld,
  failEachCall,
  simulate,
  type SimProcess,
  type SimWorld,
} from '@millrace/sim'
import type { DuplicateIndex, Place } from '../duplicates.ts'
import { openDuplicateIndex } from './disk-index.ts'
import { uuidAt } from './ids-for-tests.ts'

const SMALL = { tableEntries: 256, cachePages: 1024, hashBits: 12 }
const SMALLEST = { tableEntries: 32, cachePages: 1024, hashBits: 12 }

interface Unit {
  readonly number: number
  readonly ids: readonly { readonly id: string; readonly place: Place }[]
}

/** What a log would hold: units in order, some of them durable; a crash loses the others. */
interface ModelLog {
  durable: Unit[]
  pending: Unit[]
  next: number
  offset: number
}

const open = (
  ports: { disk: Disk; clock: Clock; random: Random },
  forTests = SMALL,
): Promise<DuplicateIndex> =>
  openDuplicateIndex({
    disk: ports.disk,
    clock: ports.clock,
    random: ports.random,
    logger: silentLogger,
    directory: 'data/ids',
    options: { forTests },
  })

async function find(index: DuplicateIndex, id: string): Promise<Place | undefined> {
  const place = index.lookup(id)
  return place === 'unsure' ? await index.lookupSlow(id) : place
}

function newId(random: Random, clock: Clock, number: number): string {
  const kind = random.next()
  if (kind < 0.6) return uuidAt(random, clock.nowMs() + number, 7)
  if (kind < 0.7) return uuidAt(random, 1.5e12 + number * 1000, 8)
  if (kind < 0.85) return uuidAt(random, 0, 4)
  return `order ${number} of ${Math.floor(random.next() * 1e9)}`
}

/** Appends units until the process ends; ids become durable in the log some time after they were inserted. */
async function live(
  process: SimProcess,
  index: DuplicateIndex,
  log: ModelLog,
  units: number,
): Promise<void> {
  for (let count = 0; count < units; count++) {
    const ids: { id: string; place: Place }[] = []
    for (let each = 0; each < 40; each++) {
      const id = newId(process.random, process.clock, log.offset)
      const place = { stream: 3, partition: 1, offset: log.offset }
      log.offset += 1
      assert.equal(await find(index, id), undefined, `${id} is new`)
      index.insert(id, place)
      ids.push({ id, place })
    }
    const unit: Unit = { number: log.next, ids }
    log.next += 1
    log.pending.push(unit)
    const durable = new Promise<void>(resolve => {
      process.clock.after(process.random.next() * 30, () => {
        // Units become durable in order.
        while (log.pending[0] !== undefined && log.pending[0].number <= unit.number) {
          log.durable.push(log.pending.shift() as Unit)
        }
        resolve()
      })
    })
    await index.checkpoint(unit.number, { durable, force: process.random.next() < 0.05 })
    const number = Math.floor(process.random.next() * (log.durable.length + log.pending.length))
    const { ids: some } = (log.durable[number] ?? log.pending[number - log.durable.length]) as Unit
    const known = some[Math.floor(process.random.next() * some.length)] as Unit['ids'][number]
    assert.deepEqual(await find(index, known.id), known.place, 'a known id')
    if (count % 8 === 0) {
      const pauseMs = process.random.next() * 20
      await new Promise<void>(resolve => void process.clock.after(pauseMs, resolve))
    }
  }
}

/** Inserts again what the log has after the durable mark, then asks for every id that ever was. */
async function recover(index: DuplicateIndex, log: ModelLog, lost: readonly Unit[]): Promise<void> {
  const mark = index.durableMark()
  const newest = log.durable.at(-1)?.number ?? 0
  assert.ok(mark <= newest, `mark ${mark} is durable in the log, which ends at ${newest}`)
  for (const { number, ids } of log.durable) {
    if (number <= mark) continue
    for (const { id, place } of ids) index.insert(id, place)
    await index.checkpoint(number)
  }
  for (const { ids } of log.durable) {
    for (const { id, place } of ids) assert.deepEqual(await find(index, id), place, `kept ${id}`)
  }
  for (const { ids } of lost) {
    for (const { id } of ids) assert.equal(await find(index, id), undefined, `lost ${id}`)
  }
}

test('crashes at any moment: no durable id is forgotten, no lost one remembered', async () => {
  await simulate({
    name: 'crashes at any moment: no durable id is forgotten, no lost one remembered',
    file: import.meta.url,
    environment: process.env,
    seeds: 4,
    async scenario(world) {
      const log: ModelLog = { durable: [], pending: [], next: 1, offset: 0 }
      const lost: Unit[] = []
      for (let lives = 0; lives < 5; lives++) {
        const process = world.startProcess()
        const index = await open(process)
        world.trace('opened', index.durableMark(), index.stats().runs)
        await recover(index, log, lost)
        const end = world.clock.sleep(50 + world.random.next() * 800)
        // A killed process never answers again, so that its life may never end.
        await Promise.race([live(process, index, log, 150), end])
        process.kill()
        if (world.random.next() < 0.7) world.disk.crash()
        lost.push(...log.pending.splice(0))
      }
      const process = world.startProcess()
      const index = await open(process)
      await recover(index, log, lost)
      await index.close()
    },
  })
})

test('each call of the disk fails once: the caller is told or nothing happened, and no answer is wrong', async () => {
  for (const effect of ['fail', 'full', 'applied'] as const) {
    const failed = await failEachCall({
      effect,
      callsMax: 45,
      async run(fault, nth) {
        const world = createSimWorld(nth)
        const armed = world.disk.inject(fault)
        await world.clock.drive(() => insertDespiteFaults(world))
        const { hits } = armed
        return hits
      },
    })
    assert.ok(failed > 40, `${failed} calls were failed`)
  }
})

async function insertDespiteFaults(world: SimWorld): Promise<void> {
  const process = world.startProcess()
  const expected = new Map<string, Place>()
  let index: DuplicateIndex | undefined
  let safe = 0
  for (let number = 1; number <= 150; number++) {
    index ??= await open(process, SMALLEST).catch(registeredOnly)
    if (index === undefined) continue
    const id = newId(process.random, process.clock, number)
    const place = { stream: 1, partition: 2, offset: number }
    expected.set(id, place)
    index.insert(id, place)
    if (number % 15 !== 0) continue
    try {
      await index.checkpoint(number, { force: number % 75 === 0 })
      if (number % 75 === 0) safe = number
    } catch (error) {
      registeredOnly(error)
    }
  }
  world.disk.repair()
  if (index === undefined) return
  for (const [id, place] of expected) assert.deepEqual(await find(index, id), place)
  assert.ok(index.durableMark() >= safe, 'what was forced is on disk')
  await index.checkpoint(150, { force: true })
  await index.close()
  process.kill()
  world.disk.crash()
  const again = await open(world.startProcess(), SMALLEST)
  assert.equal(again.durableMark(), 150)
  for (const [id, place] of expected) assert.deepEqual(await find(again, id), place)
  await again.close()
}

function registeredOnly(error: unknown): undefined {
  assert.ok(isError(error), String(error))
  return undefined
}
