/** The examples of the README. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createAudience,
  type AudienceEvent,
  type RecommendRequest,
  type Slate,
} from './audience/index.ts'
import { createSimWorld, failEachCall, simulate, type SimProcess, type SimWorld } from './index.ts'

/** Replaces the content of a file so that a reader finds the old one or the new one, whole. */
async function replace({ disk }: SimProcess, path: string, text: string): Promise<void> {
  const bytes = Buffer.from(text)
  const file = await disk.open(`${path}.tmp`, 'write')
  await file.truncate(0)
  await file.write(bytes, 0, bytes.length, 0)
  await file.sync()
  await file.close()
  await disk.rename(`${path}.tmp`, path)
  await disk.syncDirectory('')
}

// #region simulate
const powerFails = {
  name: 'a replaced file is the old one or the new one, whole',
  file: import.meta.url,
  environment: process.env,
  seeds: 50,
  scenario: async (world: SimWorld) => {
    world.disk.place('settings', Buffer.from('old'))
    const machine = world.startProcess()
    let isAcknowledged = false
    void replace(machine, 'settings', 'new').then(() => (isAcknowledged = true))
    await world.clock.sleep(world.random.between(0, 15))
    machine.kill()
    world.disk.crash()
    const left = Buffer.from(world.disk.peek('settings') ?? []).toString()
    world.trace('left', left, isAcknowledged)
    assert.ok(left === 'new' || (left === 'old' && !isAcknowledged), left)
  },
}

test(powerFails.name, async () => {
  await simulate(powerFails)
})
// #endregion

// #region fail-each
test('a replaced file is whole whichever call fails', async () => {
  const failed = await failEachCall({
    effect: 'fail',
    run: async fault => {
      const { clock, disk, startProcess } = createSimWorld(1)
      disk.place('settings', Buffer.from('old'))
      const armed = disk.inject(fault)
      await clock.drive(replace(startProcess(), 'settings', 'new').catch(() => undefined))
      assert.match(Buffer.from(disk.peek('settings') ?? []).toString(), /^(old|new)$/)
      return armed.hits
    },
  })
  assert.equal(failed, 6)
})
// #endregion

test('a recommender is measured against the truth', async () => {
  // #region audience
  const audience = createAudience({ seed: 1, people: 100, clips: 300, courses: 0 })
  const { oracle } = audience
  const watchedMs = new Map<string, number>()
  const send = (events: readonly AudienceEvent[]): void => {
    for (const { type, data } of events) {
      if (type !== 'watched') continue
      const clip = String(data['clip'])
      watchedMs.set(clip, (watchedMs.get(clip) ?? 0) + Number(data['watchedMs']))
    }
  }
  // A week of what people find by themselves, then a week of the recommender under test.
  await audience.run({ send }, { days: 7 })
  let regret = 0
  const recommend = ({ person, n }: RecommendRequest): Slate => {
    const ranked = [...watchedMs].sort(([, a], [, b]) => b - a)
    const slate = ranked.slice(0, n).map(([id]) => ({ id }))
    const best = oracle.bestItems(person, n, audience.nowMs)
    regret += oracle.expectedReward(best, person, audience.nowMs)
    regret -= oracle.expectedReward(slate, person, audience.nowMs)
    return slate
  }
  const before = audience.report()
  const after = await audience.run({ recommend, send }, { days: 7 })
  const regretPerSlate = regret / (after.clipSlates - before.clipSlates)
  // #endregion
  assert.ok(regretPerSlate > 0.5 && regretPerSlate < 4, `${regretPerSlate}`)
})
