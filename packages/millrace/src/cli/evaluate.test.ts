import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { systemClock, systemRandom } from '@millrace/core'
import { runCommand } from './main.ts'

type Found = Record<string, number> & {
  readonly baselines: Record<string, { readonly measures: Record<string, number> }>
  readonly intervals: Record<string, readonly [number, number]>
  readonly sizes: Record<string, number>
  readonly slices: Record<string, { readonly people: number }>
  readonly isOrdered: boolean
  readonly settings: { readonly blend: readonly { readonly family: string }[] }
  readonly error: { readonly code: string; readonly message: string }
}

async function run(cwd: string, ...words: string[]): Promise<{ exit: number; out: string }> {
  let out = ''
  const write = (text: string): void => void (out += text)
  const exit = await runCommand(['evaluate', ...words], {
    terminal: { out: write, err: () => undefined, isInteractive: false, columns: 100 },
    cwd,
    environment: {},
    clock: systemClock,
    random: systemRandom,
    stopped: () => Promise.reject(new Error('no command waits')),
    modules: [],
  })
  return { exit, out }
}

async function json(cwd: string, ...words: string[]): Promise<Found> {
  const { out } = await run(cwd, ...words, '--json')
  assert.equal(out.trim().split('\n').length, 1)
  return JSON.parse(out) as Found
}

async function folder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-evaluate-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

/** 120 people walk round one of three circles of 20 items; the last two steps are the test. */
const steps = Array.from({ length: 120 }, (_, person) =>
  Array.from({ length: 9 }, (_, at) => ({
    person: `p${person}`,
    item: `${'abc'[person % 3]}${(person * 7 + at) % 20}`,
    at: 1000 + at * 60,
    isTest: at >= 7,
  })),
).flat()
const lightgcn = (isTest: boolean): string =>
  Array.from({ length: 120 }, (_, person) => {
    const items = steps.filter(step => step.person === `p${person}` && step.isTest === isTest)
    return `${person} ${items.map(({ item }) => (item.codePointAt(0)! - 97) * 20 + Number(item.slice(1))).join(' ')}`
  }).join('\n')

test('two LightGCN files, plain and gzip, give one object with measures, baselines and settings', async t => {
  const cwd = await folder(t)
  await writeFile(join(cwd, 'train.txt'), lightgcn(false))
  await writeFile(join(cwd, 'test.txt.gz'), gzipSync(`${lightgcn(true)}\n500\n`))
  const found = await json(cwd, '--format', 'lightgcn', '--train', 'train.txt', '--test', 'test.txt.gz', '--fast', '--threads', '2') // prettier-ignore
  for (const key of [
    'recall@10',
    'ndcg@10',
    'recall@20',
    'ndcg@20',
    'mrr@20',
    'map@20',
    'hit@20',
    'precision@20',
    'coverage@20',
    'gini@20',
    'novelty@20',
    'trainSeconds',
    'peakMemoryBytes',
  ])
    // prettier-ignore
    assert.equal(typeof found[key], 'number', key)
  const { low, high } = { low: found.intervals['recall@20']![0], high: found.intervals['recall@20']![1] } // prettier-ignore
  assert.ok(low <= found['recall@20']! && found['recall@20']! <= high)
  // Each of the 13 unseen items of the circle fits into 20 places.
  assert.ok(found['recall@20']! > 0.95, `${found['recall@20']}`)
  assert.ok(found['recall@20']! > found.baselines['popularity']!.measures['recall@20']!)
  assert.ok('item-to-item' in found.baselines)
  assert.equal(found.isOrdered, false)
  assert.deepEqual([found.sizes['trainPeople'], found.sizes['trainItems'], found.sizes['testPeople']], [120, 60, 120]) // prettier-ignore
  assert.equal(found.slices['history 5-19']?.people, 120)
  assert.ok(found.settings.blend.length > 0)
})

test('a CSV with times is learned in their order, whatever the order of columns and rows', async t => {
  const cwd = await folder(t)
  const rowsOf = (isTest: boolean): string[] => steps.filter(step => step.isTest === isTest).reverse().map(({ person, item, at }) => `${at},"${item}",${person},1`) // prettier-ignore
  await writeFile(join(cwd, 'train.csv'), `at,item,person,weight\r\n${rowsOf(false).join('\r\n')}`)
  await writeFile(join(cwd, 'test.csv'), `at,item,person,weight\n${rowsOf(true).join('\n')}\n0,new,stranger,1\n0,a1,p0,0\n`) // prettier-ignore
  const found = await json(cwd, '--format', 'csv', '--train', 'train.csv', '--test', 'test.csv', '--k', '3', '--fast') // prettier-ignore
  assert.equal(found.isOrdered, true)
  assert.ok(found['recall@3']! > 0.9, `${found['recall@3']}`)
  assert.deepEqual([found.sizes['testPeopleNew'], found.sizes['testEventsOfNewItems']], [1, 1])
  const { exit, out } = await run(cwd, '--format', 'csv', '--train', 'train.csv', '--test', 'test.csv', '--k', '3', '--fast') // prettier-ignore
  assert.equal(exit, 0)
  assert.match(out, /recall@3[^]*chosen[^]*popularity[^]*item-to-item[^]*Chosen: /)
})

test('times are numbers or of one format; tabs and semicolons separate as well', async t => {
  const cwd = await folder(t)
  await writeFile(join(cwd, 'train.csv'), 'person\titem\tat\na\tx\t2026-01-02T00:00:00Z\na\ty\t2026-01-01\nb\tx\t2026-01-01T05:00:00Z\n') // prettier-ignore
  await writeFile(join(cwd, 'test.csv'), 'person;item\nb;y\nb;x\n')
  const found = await json(cwd, '--format', 'csv', '--train', 'train.csv', '--test', 'test.csv')
  assert.equal(found['recall@10'], 1)
  assert.equal(found.sizes['testEventsKnown'], 1)
})

test('what cannot be read is refused with its place', async t => {
  const cwd = await folder(t)
  const files: Record<string, string> = {
    'good.csv': 'person,item,at,weight\na,x,1,1\n',
    'header.csv': 'user,item\na,x\n',
    'person.csv': 'person,item\n,x\n',
    'weight.csv': 'person,item,weight\na,x,much\n',
    'time.csv': 'person,item,at\na,x,yesterday\n',
    'times.csv': 'person,item,at\na,x,2026-01-01\na,y,01/02\n',
    'quote.csv': 'person,item\n"a,x\n',
    'empty.csv': 'person,item\n',
    'broken.gz': '\u001f\u008b',
  }
  for (const [name, text] of Object.entries(files))
    await writeFile(join(cwd, name), text, name.endsWith('.gz') ? 'latin1' : 'utf8')
  const codeOf = async (train: string): Promise<[string, string]> => {
    const { error } = await json(cwd, '--format', 'csv', '--train', train, '--test', 'good.csv')
    return [error.code, error.message]
  }
  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['header.csv', 'EVALUATE_ROW_INVALID', /line 1: the header user,item does not name/],
    ['person.csv', 'EVALUATE_ROW_INVALID', /line 2: person or item is empty/],
    ['weight.csv', 'EVALUATE_ROW_INVALID', /line 2: weight much/],
    ['time.csv', 'EVALUATE_ROW_INVALID', /line 2: at: yesterday/],
    ['times.csv', 'EVALUATE_ROW_INVALID', /line 3: at 01\/02/],
    ['quote.csv', 'EVALUATE_ROW_INVALID', /line 2/],
    ['empty.csv', 'EVALUATE_FILE_EMPTY', /empty\.csv holds no event/],
    ['broken.gz', 'EVALUATE_FILE_UNREADABLE', /broken\.gz/],
    ['absent.csv', 'EVALUATE_FILE_UNREADABLE', /absent\.csv/],
  ]
  for (const [file, code, message] of refused) {
    const [found, text] = await codeOf(file)
    assert.equal(found, code, file)
    assert.match(text, message)
  }
  const { error } = await json(cwd, '--format', 'csv', '--train', 'good.csv', '--test', 'good.csv', '--k', 'ten') // prettier-ignore
  assert.equal(error.code, 'CLI_USAGE')
})
