import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSeededRandom, isError, type Disk } from '@millrace/core'
import type { FileEventLog } from '../file/index.ts'
import { createMemoryObjectStore, type ObjectFaults } from '../objects/memory/index.ts'
import {
  followBackups,
  listBackups,
  promoteStandby,
  pruneBackups,
  raiseFence,
  readManifest,
  restoreBackup,
  standbyManifest,
  takeBackup,
  verifyBackups,
} from './index.ts'
import { manifestText, writeManifest } from './manifest.ts'
import { putMark } from './marks.ts'
import {
  assertAt,
  backUp,
  contentOf,
  eventOf,
  grow,
  handClock,
  openHistory,
  openQuickDisk,
  settled,
  withRecords,
  type Moment,
} from './testing/history.ts'

interface World {
  readonly root: string
  /** Of the data directory. */
  readonly disk: Disk
  readonly clock: ReturnType<typeof handClock>
  readonly random: ReturnType<typeof createSeededRandom>
  readonly log: FileEventLog
  readonly store: ReturnType<typeof createMemoryObjectStore>
  readonly dataFormatMax: number
  /** A directory that is not there yet. */
  newDisk(): { path: string; disk: Disk }
}

async function inWorld(run: (world: World) => Promise<void>, faults?: ObjectFaults): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'millrace-backup-'))
  const disk = openQuickDisk(join(root, 'data'))
  mkdirSync(join(root, 'data'))
  writeFileSync(join(root, 'data/millrace.json'), '{"app":"clips"}')
  const clock = handClock()
  const log = await openHistory(disk, clock)
  let made = 0
  try {
    await run({
      root,
      disk,
      clock,
      random: createSeededRandom(1),
      dataFormatMax: 2,
      log,
      store: createMemoryObjectStore(faults),
      newDisk() {
        const path = join(root, `restored-${made++}`)
        mkdirSync(path)
        return { path, disk: openQuickDisk(path) }
      },
    })
  } finally {
    await log.close()
    rmSync(root, { recursive: true })
  }
}

const hasCode = (code: string) => (error: unknown) => isError(error, code)

test('a restore to any moment gives the log of that moment, and goes on from there', () =>
  inWorld(async world => {
    const { clock, log, store, newDisk } = world
    const moments = await grow(log, clock, { from: 0, to: 160 })
    await settled(log)
    moments.push(...(await grow(log, clock, { from: 160, to: 200 })))
    await backUp(world)
    let cuts = 0
    for (const [index, moment] of moments.entries()) {
      if (index % 9 !== 4 && index < moments.length - 3) continue
      const { disk } = newDisk()
      const { isCut, position } = await restoreBackup(
        { ...world, disk },
        { point: { kind: 'position', position: moment.ends } },
      )
      cuts += isCut ? 1 : 0
      assert.deepEqual(withRecords(position), withRecords(moment.ends))
      await assertAt(disk, clock, moment, log)
    }
    assert.ok(cuts > 20)
    assert.deepEqual((await verifyBackups(store)).faults, [])
  }))

test('a restore to a time takes every unit up to it, and ids that came later are new again', () =>
  inWorld(async world => {
    const { clock, log, newDisk } = world
    const moments = await grow(log, clock, { from: 0, to: 90 })
    await backUp(world)
    for (const timeMs of [moments[3], moments[40], moments[77]].map(
      each => (each as Moment).timeMs,
    )) {
      const { disk } = newDisk()
      await restoreBackup({ ...world, disk }, { point: { kind: 'time', timeMs } })
      const last = moments.findLast(moment => moment.timeMs <= timeMs) as Moment
      await assertAt(disk, clock, last, log)
      const restored = await openHistory(disk, clock)
      const known = await restored.commit({ events: [eventOf(0, 0)] })
      assert.equal(known.results[0]?.status, 'duplicate')
      const later = await restored.commit({ events: [eventOf(89, 0)] })
      assert.equal(later.results[0]?.status, 'appended')
      // What is appended now is split, backed up and restored as anything else.
      await grow(restored, clock, { from: 1_000, to: 1_120 })
      await settled(restored)
      const other = { ...world, disk, log: restored, store: createMemoryObjectStore() }
      const ends = new Map(restored.ends())
      await backUp(other)
      const again = newDisk()
      const { position } = await restoreBackup({ ...other, disk: again.disk })
      assert.deepEqual(new Map(position), ends)
      const reopened = await openHistory(again.disk, clock)
      assert.deepEqual(await contentOf(reopened), await contentOf(restored))
      await reopened.close()
      await restored.close()
    }
  }))

test('a point that no backup holds is refused, and says what there is', () =>
  inWorld(async world => {
    const { clock, log, newDisk, store } = world
    await assert.rejects(restoreBackup({ ...world, disk: newDisk().disk }), hasCode('BACKUP_NONE'))
    const moments = await grow(log, clock, { from: 0, to: 10 })
    const { manifest } = await backUp(world)
    const { disk } = newDisk()
    const at = (timeMs: number) =>
      restoreBackup({ ...world, disk }, { point: { kind: 'time', timeMs } })
    await assert.rejects(at(clock.nowMs() + 1), hasCode('RESTORE_POINT_AHEAD'))
    await assert.rejects(at((moments[0] as Moment).timeMs - 1), hasCode('RESTORE_POINT_GONE'))
    const ahead = { kind: 'position' as const, position: new Map([['clicks/0', 1_000]]) }
    await assert.rejects(
      restoreBackup({ ...world, disk }, { point: ahead }),
      hasCode('RESTORE_POINT_AHEAD'),
    )
    const named = restoreBackup({ ...world, disk }, { point: ahead, backup: manifest.id })
    await assert.rejects(named, hasCode('RESTORE_POINT_AHEAD'))
    for (const backup of ['nope', '../x']) {
      await assert.rejects(restoreBackup({ ...world, disk }, { backup }), hasCode('BACKUP_UNKNOWN'))
    }
    assert.deepEqual(await listBackups(store), [manifest.id])
  }))

test('data of a later format is refused before anything is written', () =>
  inWorld(async world => {
    const { log, clock, newDisk } = world
    await grow(log, clock, { from: 0, to: 10 })
    await backUp(world)
    const { path, disk } = newDisk()
    const older = { ...world, disk, dataFormatMax: 1 }
    await assert.rejects(restoreBackup(older), hasCode('LOG_FORMAT_UNKNOWN'))
    await assert.rejects(followBackups(older), hasCode('LOG_FORMAT_UNKNOWN'))
    assert.deepEqual(readdirSync(path), [])
  }))

test('only an empty directory is restored into', () =>
  inWorld(async world => {
    const { log, clock, newDisk } = world
    await grow(log, clock, { from: 0, to: 10 })
    await backUp(world)
    const { path, disk } = newDisk()
    writeFileSync(join(path, 'mine'), 'x')
    await assert.rejects(restoreBackup({ ...world, disk }), hasCode('RESTORE_NOT_EMPTY'))
    await assert.rejects(followBackups({ ...world, disk }), hasCode('RESTORE_NOT_EMPTY'))
    assert.equal(readFileSync(join(path, 'mine'), 'utf8'), 'x')
    // A lock is that of the restore itself.
    const other = newDisk()
    writeFileSync(join(other.path, 'lock'), 'x')
    await restoreBackup({ ...world, disk: other.disk })
    assert.ok(existsSync(join(other.path, 'millrace.json')))
    assert.ok(!existsSync(join(other.path, 'restoring')))
  }))

test('the next backup sends what is new, and each can be restored', () =>
  inWorld(async world => {
    const { log, clock, newDisk, store } = world
    const moments = await grow(log, clock, { from: 0, to: 120 })
    await settled(log)
    const first = await backUp(world)
    // Small files may still be merged.
    let before = first
    let idle = await backUp(world)
    for (let round = 0; round < 50 && idle.sentChunks > 0; round++) {
      before = idle
      idle = await backUp(world)
    }
    assert.equal(idle.sentChunks, 0)
    assert.equal(idle.manifest.parent, before.manifest.id)
    assert.ok(idle.manifest.id > first.manifest.id)
    moments.push(...(await grow(log, clock, { from: 120, to: 140 })))
    const third = await backUp(world)
    assert.ok(third.sentBytes > 0 && third.sentBytes < first.sentBytes / 2, `${third.sentBytes} of ${first.sentBytes}`) // prettier-ignore
    for (const { manifest } of [first, third]) {
      const { disk } = newDisk()
      const { position } = await restoreBackup({ ...world, disk }, { backup: manifest.id })
      assert.deepEqual(new Map(position), new Map(manifest.position))
    }
    assert.deepEqual((await verifyBackups(store)).faults, [])
  }))

test('pruning keeps the newest, whole, and removes what only the others needed', () =>
  inWorld(async world => {
    const { log, clock, store, newDisk } = world
    for (let round = 0; round < 4; round++) {
      await grow(log, clock, { from: round * 60, to: round * 60 + 60 })
      await settled(log)
      await backUp(world)
    }
    const objects = store.objects.size
    const { kept, removed, removedObjects, removedBytes } = await pruneBackups(world, 2)
    assert.deepEqual([kept.length, removed.length], [2, 2])
    assert.ok(removedObjects > 0 && removedBytes > 0)
    assert.equal(store.objects.size, objects - removedObjects - 2)
    assert.deepEqual((await verifyBackups(store)).faults, [])
    await restoreBackup({ ...world, disk: newDisk().disk })
    await assert.rejects(pruneBackups(world, 0), hasCode('BACKUP_KEEP_INVALID'))
  }))

test('a backup and a prune do not meet; what a dead process left counts for 15 minutes', () =>
  inWorld(async world => {
    const { log, clock, store } = world
    await grow(log, clock, { from: 0, to: 10 })
    await backUp(world)
    const backup = await putMark({ ...world, random: createSeededRandom(3) }, 'backup')
    await assert.rejects(pruneBackups(world, 1), hasCode('BACKUP_STORE_BUSY'))
    clock.pass(60_000)
    await backup.renew()
    clock.pass(14 * 60_000)
    await assert.rejects(pruneBackups(world, 1), hasCode('BACKUP_STORE_BUSY'))
    clock.pass(2 * 60_000)
    await pruneBackups(world, 1)
    const prune = await putMark({ ...world, random: createSeededRandom(4) }, 'prune')
    await assert.rejects(backUp(world), hasCode('BACKUP_STORE_BUSY'))
    await prune.remove()
    store.objects.set('marks/prune.torn', Buffer.from('{'))
    await backUp(world)
    assert.deepEqual(
      [...store.objects.keys()].filter(name => name.startsWith('marks/')),
      [],
    )
  }))

test('a store takes the backups of one directory, and of its newest term', () =>
  inWorld(async world => {
    const { log, clock, store } = world
    await grow(log, clock, { from: 0, to: 10 })
    await backUp(world)
    const identity = { app: 'clips', origin: 'elsewhere', term: 0, dataFormat: 2 }
    await assert.rejects(backUp(world, { identity }), hasCode('BACKUP_OF_OTHER'))
    await raiseFence(store, 1)
    await assert.rejects(backUp(world), hasCode('BACKUP_FENCED'))
    await backUp(world, { identity: { ...identity, origin: 'here', term: 1 } })
  }))

test('whichever call to the store fails, the backup before stands and the next run ends right', () =>
  inWorld(async base => {
    const { log, clock, newDisk } = base
    await grow(log, clock, { from: 0, to: 60 })
    const objects = new Map<string, Uint8Array>()
    await backUp({ ...base, store: createMemoryObjectStore(undefined, objects) })
    const moments = await grow(log, clock, { from: 60, to: 120 })
    await settled(log)
    let failures = 0
    for (let nth = 1; ; nth++) {
      let calls = 0
      const copy = new Map(objects)
      const fault: ObjectFaults = call => {
        calls += 1
        if (calls !== nth) return undefined
        return call === 'put' && nth % 2 === 0 ? 'torn' : 'fails'
      }
      const before = (await listBackups(createMemoryObjectStore(undefined, copy))).length
      let failed: unknown
      await backUp({ ...base, store: createMemoryObjectStore(fault, copy) }).catch(
        (error: unknown) => (failed = error),
      )
      if (calls < nth) break
      const healed = createMemoryObjectStore(undefined, copy)
      if (failed !== undefined) {
        failures += 1
        assert.ok(isError(failed, 'OBJECTS_UNAVAILABLE'))
        // A manifest that was torn is refused by its checksum, and is in nobody's way for long.
        const ids = await listBackups(healed)
        if (ids.length > before)
          await assert.rejects(
            readManifest(healed, ids.at(-1) as string),
            hasCode('BACKUP_DAMAGED'),
          )
        else {
          clock.pass(1)
          await backUp({ ...base, store: healed })
        }
      }
      if ((await listBackups(healed)).length > before && failed === undefined) continue
      if (nth % 4 !== 0) continue
      const { faults } = await verifyBackups(healed)
      if (faults.length > 0) continue
      const { disk } = newDisk()
      await restoreBackup({ ...base, disk, store: healed })
      await assertAt(disk, clock, moments.at(-1) as Moment, log)
    }
    assert.ok(failures > 8, `${failures} failures`)
  }))

test('any byte of a backup that changes, and any object that is missing, is found', () =>
  inWorld(async world => {
    const { log, clock, store } = world
    await grow(log, clock, { from: 0, to: 120 })
    await settled(log)
    await grow(log, clock, { from: 120, to: 130 })
    const { manifest } = await backUp(world)
    const clean = await verifyBackups(store)
    assert.deepEqual(clean.faults, [])
    assert.equal(
      clean.records,
      [...log.ends().values()].reduce((sum, end) => sum + end, 0),
    )
    const random = createSeededRandom(12)
    const kinds = new Set<string>()
    for (const [name, bytes] of [...store.objects]) {
      for (let round = 0; round < 6; round++) {
        const at = Math.floor(random.next() * bytes.length)
        const planted = bytes.slice()
        planted[at] = (planted[at] as number) ^ (1 << Math.floor(random.next() * 8))
        store.objects.set(name, planted)
        const { faults } = await verifyBackups(store)
        assert.ok(faults.length > 0, `byte ${at} of ${name}`)
        assert.equal(faults[0]?.backup, manifest.id)
      }
      store.objects.delete(name)
      const missing = name.startsWith('manifests/') ? [manifest.id] : undefined
      const check = verifyBackups(store, missing === undefined ? {} : { backups: missing })
      if (missing === undefined) assert.ok((await check).faults.length > 0, name)
      else await assert.rejects(check, hasCode('BACKUP_UNKNOWN'))
      store.objects.set(name, bytes)
      kinds.add(name.split('/')[0] as string)
    }
    assert.deepEqual([...kinds].sort(), ['manifests', 'objects'])
    assert.deepEqual((await verifyBackups(store)).faults, [])
  }))

test('a backup of files that were damaged before is found out though every hash fits', () =>
  inWorld(async world => {
    const { log, clock, disk } = world
    await grow(log, clock, { from: 0, to: 120 })
    await settled(log)
    const hold = log.hold()
    const found: string[] = []
    for (const { path, bytes } of hold.files) {
      const planted: Disk = {
        ...disk,
        async open(wanted, mode) {
          const file = await disk.open(wanted, mode)
          if (wanted !== path) return file
          return {
            ...file,
            close: () => file.close(),
            async read(target, offset, length, position) {
              const count = await file.read(target, offset, length, position)
              const middle = Math.floor(bytes / 2)
              if (middle >= position && middle < position + count) {
                const at = offset + middle - position
                target[at] = (target[at] as number) ^ 1
              }
              return count
            },
          }
        },
      }
      const store = createMemoryObjectStore()
      await takeBackup({
        ...world,
        store,
        disk: planted,
        hold,
        beside: [],
        identity: { app: 'clips', origin: 'here', term: 0, dataFormat: 2 },
      })
      const { faults } = await verifyBackups(store)
      assert.ok(faults.length > 0, path)
      found.push(path)
    }
    assert.ok(
      found.some(path => path.endsWith('.units')) && found.some(path => path.endsWith('.split')),
    )
    await hold.release()
  }))

test('a manifest that says other ends, units or offsets than its files is found', () =>
  inWorld(async world => {
    const { log, clock, store } = world
    await grow(log, clock, { from: 0, to: 120 })
    await settled(log)
    const { manifest } = await backUp(world)
    const split = manifest.files.findIndex(({ path }) => path.endsWith('.split'))
    for (const wrong of [
      { unit: manifest.unit + 1 },
      { position: new Map([...manifest.position, ['clicks/0', 1]]) },
      { files: manifest.files.filter((_, index) => index !== split) },
    ]) {
      await writeManifest(store, { ...manifest, ...wrong })
      assert.ok((await verifyBackups(store)).faults.length > 0, JSON.stringify(Object.keys(wrong)))
    }
    const text = manifestText(manifest).replace('"format":1', '"format":9')
    store.objects.set(`manifests/${manifest.id}`, Buffer.from(text))
    assert.match((await verifyBackups(store)).faults[0]?.reason ?? '', /checksum/)
  }))

test('a standby follows, survives its own crashes, and is promoted to what the newest backup holds', () =>
  inWorld(async world => {
    const { log, clock, newDisk } = world
    const { path, disk } = newDisk()
    const standby = { ...world, disk }
    await assert.rejects(
      promoteStandby(standby, text => text),
      hasCode('STANDBY_EMPTY'),
    )
    assert.equal(await followBackups(standby), undefined)
    let moments: Moment[] = []
    for (let round = 0; round < 5; round++) {
      moments = await grow(log, clock, { from: round * 40, to: round * 40 + 40 })
      if (round % 2 === 1) await settled(log)
      await backUp(world)
      const state = await followBackups(standby)
      assert.ok((state?.fetchedBytes ?? 0) > 0)
      assert.equal((await followBackups(standby))?.fetchedBytes, 0)
      // A step that died after it fetched, before it said so.
      if (round !== 3) continue
      await grow(log, clock, { from: 500, to: 540 })
      await backUp(world)
      let writes = 0
      const mortal: Disk = {
        ...disk,
        async rename(from, to) {
          if (to === 'restoring/manifest' || ++writes > 6) throw new Error('killed')
          await disk.rename(from, to)
        },
      }
      await assert.rejects(followBackups({ ...standby, disk: mortal }), /killed/)
    }
    await assert.rejects(restoreBackup(standby), hasCode('RESTORE_NOT_EMPTY'))
    assert.equal((await standbyManifest(disk))?.id, (await listBackups(world.store)).at(-1))
    let renames = 0
    const mortal: Disk = {
      ...disk,
      async rename(from, to) {
        if (!from.endsWith('.new') && ++renames > 1) throw new Error('killed')
        await disk.rename(from, to)
      },
    }
    await assert.rejects(
      promoteStandby({ disk: mortal }, () => '{"term":1}'),
      /killed/,
    )
    await assert.rejects(followBackups(standby), hasCode('RESTORE_NOT_EMPTY'))
    await promoteStandby({ disk }, () => '{"term":1}')
    assert.equal(readFileSync(join(path, 'millrace.json'), 'utf8'), '{"term":1}')
    await assertAt(disk, clock, moments.at(-1) as Moment, log)
  }))

test('a restore that dies at any call of the disk is not opened, and the next one ends right', () =>
  inWorld(async world => {
    const { log, clock, newDisk } = world
    const moments = await grow(log, clock, { from: 0, to: 100 })
    await settled(log)
    await backUp(world)
    const moment = moments[70] as Moment
    const point = { kind: 'position' as const, position: moment.ends }
    let deaths = 0
    for (let nth = 1; ; nth += 23) {
      const { path, disk } = newDisk()
      let calls = 0
      const strike = (): void => {
        if (++calls >= nth) throw new Error('killed')
      }
      const mortal: Disk = {
        ...disk,
        async rename(from, to) {
          strike()
          await disk.rename(from, to)
        },
        async remove(each) {
          strike()
          await disk.remove(each)
        },
        async open(each, mode) {
          strike()
          return disk.open(each, mode)
        },
      }
      const died = await restoreBackup({ ...world, disk: mortal }, { point }).then(
        () => false,
        (error: Error) => /killed/.test(error.message),
      )
      if (!died) break
      deaths += 1
      assert.ok(!existsSync(join(path, 'millrace.json')) || existsSync(join(path, 'restoring')) || existsSync(join(path, 'restored'))) // prettier-ignore
      if (existsSync(join(path, 'millrace.json')) && !existsSync(join(path, 'restoring'))) continue
      await restoreBackup({ ...world, disk }, { point })
      await assertAt(disk, clock, moment, log)
    }
    assert.ok(deaths > 3, `${deaths} deaths`)
  }))

test('a log from before there were ledgers is restored to its end, and to what came since', () =>
  inWorld(async world => {
    const { log, clock, disk, root, newDisk } = world
    const old = await grow(log, clock, { from: 0, to: 120 })
    await settled(log)
    await log.close()
    rmSync(join(root, 'data/log/units'), { recursive: true })
    const upgraded = await openHistory(disk, clock)
    const since = await grow(upgraded, clock, { from: 120, to: 240 })
    await settled(upgraded)
    await backUp({ ...world, log: upgraded })
    const at = async (moment: Moment): Promise<void> => {
      const target = newDisk()
      await restoreBackup(
        { ...world, disk: target.disk },
        { point: { kind: 'position', position: moment.ends } },
      )
      await assertAt(target.disk, clock, moment, upgraded)
    }
    await at(since[60] as Moment)
    await at(since.at(-1) as Moment)
    const before = { kind: 'time' as const, timeMs: (old[20] as Moment).timeMs }
    const gone = restoreBackup({ ...world, disk: newDisk().disk }, { point: before })
    await assert.rejects(gone, hasCode('RESTORE_POINT_GONE'))
    await upgraded.close()
  }))
