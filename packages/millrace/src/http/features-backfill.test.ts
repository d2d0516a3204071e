/** A changed feature view is built from the log beside the served one: what would change is told before. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  defineApp,
  event,
  featureView,
  id,
  int,
  silentLogger,
  type AnyFeatureView,
  type App,
} from '@millrace/core'
import { openMillrace, type Millrace } from '../millrace.ts'
import { send } from '../testing/http.ts'

const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int() },
  { key: 'viewer' },
)
const before = featureView({
  from: [watched],
  key: 'clip',
  features: f => ({
    plays: f.count({ window: 'lifetime' }),
    long: f.count({ window: 'lifetime', where: e => e.data.ms > 5 }),
    spread: f.histogram({ window: 'lifetime', of: 'ms', bounds: [5] }),
  }),
})
const changed = featureView({
  from: [watched],
  key: 'clip',
  replaces: before,
  features: f => ({
    plays: f.count({ window: 'lifetime' }),
    long: f.count({ window: 'lifetime', where: e => e.data.ms > 7 }),
    newest: f.max({ window: 'lifetime', of: 'ms', default: -1 }),
    spread: f.histogram({ window: 'lifetime', of: 'ms', bounds: [6] }),
  }),
})
const appOf = (clipStats: AnyFeatureView): App =>
  defineApp({ name: 'backfilled', events: [watched], features: { clipStats } })

const opened = async (app: App, data: string): Promise<{ millrace: Millrace; url: string }> => {
  const millrace = await openMillrace({ app, data, logger: silentLogger, port: 0 })
  return { millrace, url: (await millrace.listen()).url }
}
const valuesOf = async (url: string, clip: string): Promise<unknown> => {
  const { json } = await send(url, `/v1/features/clipStats/${clip}`)
  const values = json['values'] as { value: unknown; status: string }[]
  return values.map(({ value, status }) => (status === 'value' ? value : [status, value]))
}

test('a backfill of a feature view tells what would change, switches, and goes back', async t => {
  const data = await mkdtemp(join(tmpdir(), 'millrace-backfill-'))
  t.after(() => rm(data, { recursive: true }))
  const first = await opened(appOf(before), data)
  const events = Array.from({ length: 60 }, (_, at) => ({
    type: 'watched',
    // Clip c0 is watched for 0 and 3, c1 for 1 and 6, c2 for 2, 5 and 8.
    data: { viewer: `p${at % 7}`, clip: `c${at % 3}`, ms: [0, 1, 2, 3, 6, 8][at % 6] },
  }))
  await first.millrace.reached((await first.millrace.trackMany(events)).position, {
    timeoutMs: 60_000,
  })
  assert.deepEqual(await valuesOf(first.url, 'c1'), [20, 10, [10, 10]])
  await first.millrace.close()

  const { millrace, url } = await opened(appOf(changed), data)
  t.after(() => millrace.close())
  const rebuild = (path: string, body?: unknown) =>
    send(url, `/v1/rebuilds/feature.clipStats${path}`, body === undefined ? {} : { body })
  // The version before is served until the switch, and says where it means something else.
  const old = [20, ['stale', 10], ['default', -1], ['stale', [10, 10]]]
  assert.deepEqual(await valuesOf(url, 'c1'), old)
  assert.equal((await rebuild('', { isDryRun: true })).status, 200)
  await millrace.streams.rebuilds.settled('feature.clipStats')
  const { json } = await rebuild('')
  assert.equal(json['state'], 'ready', JSON.stringify(json))
  const { keys, different, samples, file } = json['comparison'] as Record<string, unknown>
  assert.deepEqual([keys, different], [3, 3])
  const sample = (samples as Record<string, unknown>[]).find(({ key }) => key === 'c1')
  assert.deepEqual(
    [sample?.['live'], sample?.['built']],
    [
      { '': { plays: 20, long: 10, spread: [10, 10] } },
      { '': { plays: 20, long: 0, newest: 6, spread: [10, 10] } },
    ],
  )
  assert.equal((await readFile(file as string, 'utf8')).trim().split('\n').length, 3)
  assert.deepEqual(await valuesOf(url, 'c1'), old)
  assert.equal((await rebuild('/switch', { maxDifferences: 3 })).status, 200)
  assert.deepEqual(await valuesOf(url, 'c1'), [20, ['default', 0], 6, [10, 10]])
  assert.equal((await rebuild('/back', {})).status, 200)
  assert.deepEqual(await valuesOf(url, 'c1'), old)
  assert.equal((await send(url, '/v1/rebuilds/feature.ranking')).json['code'], 'VIEW_UNKNOWN')
})
