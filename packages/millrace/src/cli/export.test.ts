import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { command, contentsOf, done, served, watches, type Served } from '../testing/backups.ts'
import { send } from '../testing/http.ts'

const CLIPS = new URL('../testing/clips.ts', import.meta.url).href
/** The app in a file of its own, as a team has it. */
const apps = mkdtempSync(join(tmpdir(), 'millrace-export-app-'))
writeFileSync(join(apps, 'app.ts'), `export { clips as default } from '${CLIPS}'\n`)
after(() => rmSync(apps, { recursive: true }))
const APP = ['--app', join(apps, 'app.ts')]

/** A server with 300 watches and a question, whose text is personal. */
async function filled(t: TestContext): Promise<Served> {
  const server = await served(t)
  const asked = { type: 'asked', id: 'q-1', data: { person: 'p1', question: 'why?' } }
  const { status } = await send(server.url, '/v1/events', { body: [...watches(0, 300), asked] })
  assert.equal(status, 200)
  return server
}

const codeOf = (result: Record<string, unknown>): unknown =>
  (result['error'] as { code: string } | undefined)?.code

for (const format of ['jsonl', 'parquet']) {
  test(`a running server is exported as ${format}, and the import gives the same views`, async t => {
    const { root, data, close } = await filled(t)
    const folder = join(root, 'export')
    const to = join(root, 'imported')
    const exported = await done(['export', '--to', folder, '--format', format, '--personal', '--data', data]) // prettier-ignore
    await close()
    const source = await contentsOf(data)
    const imported = await done(['import', 'export', folder, '--data', to, ...APP])
    assert.equal((exported['records'] as number) - (imported['emitted'] as number), imported['appended']) // prettier-ignore
    assert.ok((imported['emitted'] as number) > 0)
    const copy = await contentsOf(to)
    assert.deepEqual(copy, source)
    assert.equal(copy.ids.size, 300)
    const read = async (directory: string, partition: number): Promise<unknown> => {
      const words = ['log', 'read', 'person', '-n', '400', '--partition', String(partition)]
      const { records } = await done([...words, '--data', directory, ...APP])
      return (records as Record<string, unknown>[])
        .filter(({ type }) => type !== '$tick')
        .map(record => ({ ...record, ingestTimeMs: 0, watermarkMs: 0 }))
    }
    for (let partition = 0; partition < 4; partition++) {
      assert.deepEqual(await read(to, partition), await read(data, partition))
    }
    const again = await command(['import', 'export', folder, '--data', to, ...APP])
    assert.equal(codeOf(again), 'EXPORT_TARGET_OTHER')
  })
}

test('personal fields are masked unless they are asked for, and such an export is not imported', async t => {
  const { root, data } = await filled(t)
  const folder = join(root, 'masked')
  await done(['export', '--to', folder, '--data', data])
  const text = readdirSync(join(folder, 'records/person'))
    .map(name => readFileSync(join(folder, 'records/person', name), 'utf8'))
    .join('')
  assert.match(text, /"question":"\[personal\]"/)
  assert.doesNotMatch(text, /why\?/)
  const refused = await command(['import', 'export', folder, '--data', join(root, 'to'), ...APP])
  assert.equal(codeOf(refused), 'EXPORT_INCOMPLETE')
  const acts = await done(['log', 'read', 'access.audit', '--data', data, '-n', '100'])
  assert.match(JSON.stringify(acts), /exportLog","params":\{"personal":"masked"\}/)
})

test('single streams are exported, to Parquet that says its columns', async t => {
  const { root, data } = await filled(t)
  const folder = join(root, 'some')
  const words = ['export', '--to', folder, '--format', 'parquet', '--personal', '--data', data]
  await done([...words, '--streams', 'person'])
  assert.deepEqual(readdirSync(join(folder, 'records')), ['person'])
  const name = readdirSync(join(folder, 'records/person'))[0] as string
  const bytes = readFileSync(join(folder, 'records/person', name))
  const file = new Uint8Array(bytes).buffer
  const [row] = await parquetReadObjects({ file, rowEnd: 1 })
  assert.ok(row?.['eventTime'] instanceof Date)
  assert.equal(typeof JSON.parse(String(row['data'])), 'object')
  assert.ok(parquetMetadata(file).num_rows > 0n)
  const part = await command(['import', 'export', folder, '--data', join(root, 'to'), ...APP])
  assert.equal(codeOf(part), 'EXPORT_INCOMPLETE')
  const unknown = await command(['export', '--to', join(root, 'x'), '--streams', 'x', '--data', data]) // prettier-ignore
  assert.equal(codeOf(unknown), 'LOG_STREAM_UNKNOWN')
})

test('an import that was interrupted goes on, and what is not as exported is refused', async t => {
  const { root, data, close } = await filled(t)
  const folder = join(root, 'export')
  await done(['export', '--to', folder, '--personal', '--data', data])
  assert.equal(codeOf(await command(['export', '--to', folder, '--data', data])), 'EXPORT_NOT_EMPTY') // prettier-ignore
  await close()
  const into = (to: string): string[] => ['import', 'export', folder, '--data', join(root, to), ...APP] // prettier-ignore
  const file = join(folder, 'export.json')
  const whole = readFileSync(file, 'utf8')
  const contents = JSON.parse(whole) as { files: { path: string; sha256: string; outside: number }[] } // prettier-ignore
  const path = contents.files.findLast(({ outside }) => outside > 20)?.path as string
  const lines = readFileSync(join(folder, path), 'utf8')
  // A file that ends early, and is said to be like that: what is before it is appended.
  const half = Buffer.from(lines.slice(0, lines.length >> 1))
  writeFileSync(join(folder, path), half)
  assert.equal(codeOf(await command(into('to'))), 'EXPORT_DAMAGED')
  assert.ok(!existsSync(join(root, 'to')))
  const said = { bytes: half.length, sha256: createHash('sha256').update(half).digest('hex') }
  const files = contents.files.map(one => (one.path === path ? { ...one, ...said } : one))
  writeFileSync(file, JSON.stringify({ ...contents, files }))
  assert.equal(codeOf(await command(into('to'))), 'EXPORT_DAMAGED')
  assert.ok(existsSync(join(root, 'to')))
  writeFileSync(join(folder, path), lines)
  writeFileSync(file, whole)
  const imported = await done(into('to'))
  assert.ok((imported['before'] as number) > 0)
  assert.deepEqual(await contentsOf(join(root, 'to')), await contentsOf(data))
  // A log with other records is refused before anything is appended.
  assert.equal(codeOf(await command(['import', 'export', folder, '--data', data, ...APP])), 'EXPORT_TARGET_OTHER') // prettier-ignore
  const changes: [string, string][] = [
    ['EXPORT_OF_OTHER', whole.replace('"app": "clips"', '"app": "shop"')],
    ['EXPORT_FORMAT_UNKNOWN', whole.replace('"format": 1', '"format": 2')],
    ['EXPORT_DAMAGED', whole.replace('"records/', '"../records/')],
    ['EXPORT_DAMAGED', whole.slice(1)],
    ['EXPORT_DAMAGED', 'null'],
  ]
  for (const [code, text] of changes) {
    writeFileSync(file, text)
    assert.equal(codeOf(await command(into('other'))), code)
  }
  rmSync(file)
  assert.equal(codeOf(await command(into('other'))), 'EXPORT_MISSING')
  writeFileSync(file, whole)
  rmSync(join(folder, path))
  assert.equal(codeOf(await command(into('other'))), 'EXPORT_MISSING')
  assert.ok(!existsSync(join(root, 'other')))
  const memory = await command(['import', 'export', folder, '--data', 'memory', ...APP])
  assert.equal(codeOf(memory), 'CLI_USAGE')
})
