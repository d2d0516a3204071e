import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { failEachCall } from '@millrace/sim'
import { genericApp } from './generic-app.ts'
import { createWorld, essence, memoryFile } from './fixtures.test.ts'
import type { ImportSink } from './sink.ts'

const app = genericApp
const HEADER = 'userId,itemId,rating,timestamp\n'

/** Rows over many runs, with ties of time and with copies. */
function rows(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const person = (index * 7) % 13
    const atS = 1_000_000_000 + Math.floor(((index * 31) % count) / 3)
    return `p${person},i${index % 29},${(index % 9) / 2 + 0.5},${atS}`
  })
}

test('rows become history, sorted by event time and id', async () => {
  const world = await createWorld(app)
  const report = await world.importFile(memoryFile('r.csv', HEADER + rows(300).join('\n')))
  assert.equal(report.rows, 300)
  assert.equal(report.appended, 300)
  assert.equal(report.firstAtMs, 1_000_000_000_000)
  const records = await world.records()
  assert.equal(records.length, 300)
  assert.ok(records.every(record => record.isHistory && record.definition === app.fingerprint))
  for (const [index, record] of records.entries()) {
    const next = records[index + 1]
    if (next === undefined || next.partition !== record.partition) continue
    assert.ok(record.id < next.id)
  }
  assert.deepEqual(
    world.disk.paths().filter(path => path.startsWith('imports/')),
    [],
  )
})

test('importing twice changes nothing', async () => {
  const world = await createWorld(app)
  const file = memoryFile('r.csv', HEADER + rows(100).join('\n'))
  await world.importFile(file)
  const before = essence(await world.records())
  const again = await world.importFile(file)
  assert.equal(again.appended, 0)
  assert.equal(again.duplicates, 100)
  assert.deepEqual(essence(await world.records()), before)
})

test('the same row twice is one event, and is counted', async () => {
  const world = await createWorld(app)
  const report = await world.importFile(memoryFile('r.csv', `${HEADER}a,b,1,5\na,b,1,5\na,b,2,5\n`))
  assert.equal(report.appended, 2)
  assert.equal(report.duplicates, 1)
})

test('another mapping of the same rows is a conflict, not a second event', async () => {
  const world = await createWorld(app)
  const content = 'a,b,at\nx,y,5\n'
  await world.importFile(memoryFile('r.csv', content), {
    map: { person: 'a', item: 'b', at: 'at' },
  })
  const other = { map: { person: 'b', item: 'a', at: 'at' } }
  await assert.rejects(world.importFile(memoryFile('r.csv', content), other), error => {
    assert.ok(isError(error, 'IMPORT_MAPPED_BEFORE'))
    assert.match(error.message, /r\.csv .* Line 2: .*another mapping/)
    return true
  })
  assert.deepEqual(world.disk.paths(), [])
  assert.equal((await world.records()).length, 1)
})

test('rows of another mapping are refused before a new row behind them is appended', async () => {
  const world = await createWorld(app)
  const old = Array.from({ length: 30 }, (_, index) => `x${index},y,${index}`).join('\n')
  const right = { map: { person: 'a', item: 'b', at: 'at' } }
  const wrong = { map: { person: 'b', item: 'a', at: 'at' } }
  await world.importFile(memoryFile('r.csv', `a,b,at\n${old}\n`), right)
  const longer = memoryFile('r.csv', `a,b,at\n${old}\nnew,y,99\n`)
  await assert.rejects(world.importFile(longer, wrong), error => isError(error, 'IMPORT_MAPPED_BEFORE')) // prettier-ignore
  assert.equal((await world.records()).length, 30)
  assert.equal((await world.importFile(longer, right)).appended, 1)

  // New rows in front, old ones behind them: single conflicts, named and counted.
  const mixed = memoryFile('r.csv', `a,b,at\nnew,z,0\n${old}\n`)
  const report = await world.importFile(mixed, wrong)
  assert.deepEqual([report.appended, report.refused], [1, 30])
  assert.equal(report.refusedFirst[0]?.code, 'ROW_CONFLICT')
})

test('a dry run says what would be appended, and changes nothing', async () => {
  const world = await createWorld(app)
  const content = 'a,b,at\nx,y,5\nv,w,4\n,z,6\n'
  const map = { person: 'b', item: 'a', at: 'at' }
  const report = await world.importFile(memoryFile('r.csv', content), { map, isDryRun: true })
  assert.deepEqual([report.rows, report.refused, report.appended], [3, 1, 0])
  const data = { person: 'y', item: 'x' }
  assert.deepEqual(report.samples, [
    { type: 'interacted', file: 'r.csv', line: 2, atMs: 5000, data },
  ])
  assert.deepEqual(await world.records(), [])
  assert.equal((await world.importFile(memoryFile('r.csv', content), { map })).appended, 2)
})

test('refused rows are counted, shown and written, with line and reason', async () => {
  const world = await createWorld(app)
  const content = `${HEADER}a,b,1,5\nc,d,much,6\n,f,1,7\ng,h\n"i,j,1,9\nk,l,1,then\nm,n,1,11,,\no,p,1,12,x\n`
  const report = await world.importFile(memoryFile('r.csv', content))
  assert.equal(report.rows, 8)
  assert.equal(report.appended, 2)
  assert.equal(report.refused, 6)
  const found = [...report.refusedFirst].sort((left, right) => left.line - right.line)
  assert.deepEqual(
    found.map(({ line, code }) => [line, code]),
    [
      [3, 'ROW_VALUE'],
      [4, 'ROW_VALUE'],
      [5, 'ROW_CELLS'],
      [6, 'ROW_QUOTES'],
      [7, 'ROW_TIME'],
      [9, 'ROW_CELLS'],
    ],
  )
  assert.match(found[0]?.reason ?? '', /value \(rating\): "much" is not a number/)
  const written = Buffer.from(world.disk.peek(report.refusedFile ?? '') ?? [])
    .toString()
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as { line: number; file: string; raw: string })
  assert.equal(written.length, 6)
  assert.equal(written.find(row => row.line === 7)?.raw, 'k,l,1,then')
  assert.equal(written[0]?.file, 'r.csv')
})

test('a refused row is kept such that it can be corrected and read again', async () => {
  const world = await createWorld(app)
  const row = '"a ""b"", c",d,much,6'
  const report = await world.importFile(memoryFile('r.csv', `${HEADER}e,f,1,5\n${row}\n`))
  const [line = ''] = Buffer.from(world.disk.peek(report.refusedFile ?? '') ?? []).toString().split('\n') // prettier-ignore
  assert.equal((JSON.parse(line) as { raw: string }).raw, row)
})

test('a file of which no row fits is refused before anything is written', async () => {
  const world = await createWorld(app)
  const bad = Array.from({ length: 1_200 }, (_, index) => `p,i,x,${index}`).join('\n')
  const file = memoryFile('r.csv', HEADER + bad)
  await assert.rejects(world.importFile(file), (error: unknown) => {
    assert.ok(isError(error, 'IMPORT_ROWS_UNFIT'))
    assert.match(error.message, /Line 1001/)
    return true
  })
  assert.equal((await world.records()).length, 0)
})

test('an interrupted import goes on behind its last note, with the same log', async () => {
  const file = memoryFile('r.csv', HEADER + rows(200).join('\n'))
  const straight = await createWorld(app)
  await straight.importFile(file)
  const expected = essence(await straight.records())

  for (const stopAt of [1, 4, 11, 28]) {
    const world = await createWorld(app)
    let calls = 0
    const failing: ImportSink = {
      async append(events) {
        calls += 1
        const results = await world.sink.append(events)
        if (calls === stopAt) throw new Error('killed')
        return results
      },
    }
    await assert.rejects(world.importFile(file, { sink: failing }), /killed/)
    const report = await world.importFile(file)
    assert.equal(report.appended + report.duplicates, 200)
    assert.ok(stopAt < 4 || report.resumedAt > 0)
    assert.deepEqual(essence(await world.records()), expected)
  }
})

test('whatever call of the disk fails, a second try gives the same log', async () => {
  const file = memoryFile('r.csv', `${HEADER}${rows(90).join('\n')}\nbad\n`)
  const straight = await createWorld(app)
  await straight.importFile(file)
  const expected = essence(await straight.records())

  for (const effect of ['fail', 'applied', 'full'] as const) {
    const tried = await failEachCall({
      effect,
      run: async fault => {
        const world = await createWorld(app)
        const armed = world.disk.inject(fault)
        const first = await world.importFile(file).catch((error: unknown) => {
          assert.ok(isError(error), String(error))
        })
        const { hits } = armed
        armed.lift()
        const second = await world.importFile(file)
        assert.equal(second.refused, 1)
        assert.deepEqual(essence(await world.records()), expected)
        if (first !== undefined) assert.equal(second.appended, 0)
        return hits
      },
    })
    assert.ok(tried > 10, `${tried} calls`)
  }
})
