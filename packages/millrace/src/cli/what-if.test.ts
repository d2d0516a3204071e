import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { silentLogger, systemClock, systemRandom } from '@millrace/core'
import { openMillrace, type Millrace } from '../millrace.ts'
import { standardModules } from '../wiring/modules.ts'
import { loadApp } from './app-file.ts'
import { runCommand } from './main.ts'

const APP = join(import.meta.dirname, '../../../../examples/what-if/app.ts')
const CHANGED = join(APP, '../changed.ts')

describe('what-if', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-what-if-'))
  let millrace: Millrace
  let port = ''
  before(async () => {
    const app = await loadApp(APP)
    millrace = await openMillrace({ app, appFile: APP, data: 'memory', logger: silentLogger })
    port = String((await millrace.listen({ port: 0 })).port)
    const watched = (id: string, viewer: string, clip: string, watchedMs: number): unknown => ({
      type: 'watched',
      id,
      data: { viewer, clip, watchedMs },
    })
    const events = [watched('a', 'ana', 'c1', 5_000), watched('bot-1', 'ana', 'c2', 300), watched('bot-2', 'ben', 'c2', 300)] // prettier-ignore
    await millrace.trackMany(events as never)
    await millrace.reached(millrace.log.ends(), { timeoutMs: 60_000 })
    writeFileSync(join(folder, 'bots.csv'), 'id\nbot-1\nbot-2\nnone\n')
    writeFileSync(
      join(folder, 'more.jsonl'),
      '{"type":"watched","data":{"viewer":"ben","clip":"c1","watchedMs":1}}\n\n',
    )
    writeFileSync(join(folder, 'bad.jsonl'), '{\n')
  })
  after(async () => {
    await millrace.close()
    rmSync(folder, { recursive: true })
  })

  const run = async (...words: readonly string[]): Promise<{ exit: number; text: string }> => {
    let text = ''
    const say = (more: string): void => void (text += more)
    const exit = await runCommand(['what-if', ...words, '--port', port, '--app', APP], {
      terminal: { out: say, err: say, isInteractive: false, columns: 200 },
      cwd: folder,
      environment: {},
      clock: systemClock,
      random: systemRandom,
      stopped: () => new Promise(() => undefined),
      modules: standardModules(),
    })
    return { exit, text }
  }

  it('says what would be without events, and leaves nothing behind', async () => {
    const { exit, text } = await run('--file', 'bots.csv', '--to-file', 'all.jsonl')
    assert.equal(exit, 0, text)
    assert.match(text, /^2 events count otherwise, 0 are so already, 1 are refused\.\n {2}none: the log has no such event\n/) // prettier-ignore
    assert.match(
      text,
      /\nplays: 0 changed, 0 added, 1 removed, of 1 that can differ\.\n +c2 +2 -> -\n/,
    )
    assert.match(
      text,
      /\nseen: 1 changed, 0 added, 1 removed, .*\n {2}Fields: clips\[\] 1, totalMs 1\.\n/,
    )
    assert.match(text, / ana +totalMs +5300 -> 5000\n/)
    const lines = readFileSync(join(folder, 'all.jsonl'), 'utf8').trimEnd().split('\n')
    assert.ok(lines.every(line => 'before' in (JSON.parse(line) as object)))
    assert.deepEqual(millrace.streams.branches.list(), [])
  })

  it('adds events, keeps a branch, and reads a key of it', async () => {
    const kept = await run('--events', 'more.jsonl', '--keep', '--view', 'plays', '--json')
    assert.equal(kept.exit, 0, kept.text)
    const { branch } = JSON.parse(kept.text) as { branch: { id: string } }
    const words = ['--branch', branch.id, '--view', 'plays']
    const { text } = await run(...words, '-n', '0')
    assert.match(text, /plays: 1 changed, 0 added, 0 removed/)
    const read = await run(...words, '--key', 'c1', '--json')
    assert.deepEqual(JSON.parse(read.text), { branch: branch.id, view: 'plays', key: 'c1', value: 2 }) // prettier-ignore
    assert.deepEqual(millrace.streams.branches.list().map(({ id }) => id), [branch.id]) // prettier-ignore
  })

  it('tells what a surface would show', async () => {
    const words = ['--file', 'bots.csv', '--surface', 'home']
    const { exit, text } = await run(...words, '--person', 'carl', '--explain')
    assert.equal(exit, 0, text)
    assert.match(text, /^home for carl: \d of 1 slots would hold another item\.\n/)
    assert.match(text, /c1 .* trending +trending now/)
    assert.match(text, /Not shown any more: c2 \(was \d\)\./)
    writeFileSync(join(folder, 'items.jsonl'), '{"kind":"clip","id":"c7","attributes":{"title":"New"}}\n') // prettier-ignore
    const edited = await run('--items', 'items.jsonl', '--surface', 'home', '-n', '3', '--json', '--keep') // prettier-ignore
    const answer = JSON.parse(edited.text) as { branch: string; surface: string }
    assert.equal(answer.surface, 'home')
    millrace.streams.branches.get(answer.branch).close()
    assert.match(
      (await run('--items', 'items.jsonl', '--surface', 'home')).text,
      /^home for anybody/,
    )
  })

  it('merges people, and splits them', async () => {
    const read = ['--view', 'seen', '--key', 'ben', '--json']
    const { exit, text } = await run('--merge', 'ben=ana', ...read)
    assert.equal(exit, 0, text)
    const { value } = JSON.parse(text) as { value: { totalMs: number } }
    assert.equal(value.totalMs, 5_600)
    const nobody = await run('--split', 'ben')
    assert.match(nobody.text, /seen: 0 changed, 0 added, 0 removed, of 0/)
    assert.match((await run('--merge', 'ben=ben')).text, /merged into themselves/)
  })

  it('plans what it would change', async () => {
    const { exit, text } = await run('--file', 'bots.csv', '--plan', '--title', 'the bots')
    assert.equal(exit, 0, text)
    assert.match(text, /^\S+-corrections is planned: 2 effects \(1 refused\), 0 in effect\.\n/)
    const planned = await run('--items', 'items.jsonl', '--plan', '--json')
    const { changesets } = JSON.parse(planned.text) as { changesets: { kind: string; title: string }[] } // prettier-ignore
    assert.deepEqual(
      changesets.map(({ kind }) => kind),
      ['catalogue'],
    )
    const events = await run('--events', 'more.jsonl', '--plan')
    assert.notEqual(events.exit, 0)
    assert.match(events.text, /events are sent, not applied/)
  })

  it('answers by another definition, and says how to deploy it', async () => {
    const words = ['--definition', CHANGED]
    const { exit, text } = await run(...words)
    assert.equal(exit, 0, text)
    assert.match(text, /^Otherwise: view seen\.\n\d+ states \(\d+ bytes\) can differ at least; about 3 records/) // prettier-ignore
    assert.match(text, /\nplays: 0 changed, 0 added, 0 removed, of 0 that can differ\.\n/)
    assert.match(text, /\nseen: 1 changed, 0 added, 1 removed, of 2 that can differ\.\n/)
    const read = await run(...words, '--view', 'seen', '--key', 'ana', '--json')
    assert.deepEqual((JSON.parse(read.text) as { value: unknown }).value, { clips: ['c1'], totalMs: 5_000 }) // prettier-ignore
    assert.match((await run(...words, '--plan')).text, /start the server with it.* millrace rebuild seen/s) // prettier-ignore
    const tooLarge = await run(...words, '--records-max', '1', '--memory-max', '1')
    assert.match(tooLarge.text, /about 3 records would have to be folded/)
    // One key is no more than its own history.
    const one = await run(...words, '--records-max', '1', '--view', 'seen', '--key', 'ben', '--json') // prettier-ignore
    assert.deepEqual((JSON.parse(one.text) as { value: unknown }).value, null)
    const same = await run('--definition', APP)
    assert.match(same.text, /^The definition is the one that is served\.\n/)
    const set = await run('--set', 'surfaces.home.filters=["disliked"]', '--surface', 'home', '--person', 'ana') // prettier-ignore
    assert.match(set.text, /^home for ana: 2 of 2 slots would hold another item\.\n/)
  })

  it('refuses definitions that are not of the folder of the app, or none', async () => {
    for (const [file, what] of [
      [join(folder, 'items.jsonl'), /not in the folder of the app/],
      ['none.ts', /there is no such file/],
      [join(dirname(APP), 'more.jsonl'), /none of \.ts/],
      [join(dirname(APP), 'use.ts'), /exports no app/],
    ] as const) {
      const { exit, text } = await run('--definition', file)
      assert.notEqual(exit, 0)
      assert.match(text, what)
    }
  })

  it('refuses what it cannot mean', async () => {
    for (const [words, what] of [
      [[], /Give --file, --events, --items, --merge, --split, --definition, --set or --branch/],
      [['--merge', 'ben'], /--merge ben is not id=person/],
      [['--set', 'surfaces.home'], /is not path=value/],
      [['--file', 'bots.csv', '--person', 'ana'], /--person goes with --surface/],
      [['--events', 'bad.jsonl'], /no event in line 1/],
      [['--events', 'none.jsonl'], /cannot be read: ENOENT/],
      [['--file', 'bots.csv', '--key', 'c1'], /--key goes with --view/],
      [['--branch', 'none'], /no branch none/],
    ] as const) {
      const { exit, text } = await run(...words)
      assert.notEqual(exit, 0)
      assert.match(text, what)
    }
  })
})
