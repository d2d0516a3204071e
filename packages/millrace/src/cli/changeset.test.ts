import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { silentLogger, systemClock, systemRandom } from '@millrace/core'
import { openMillrace, type Millrace } from '../millrace.ts'
import { standardModules } from '../wiring/modules.ts'
import { loadApp } from './app-file.ts'
import { runCommand } from './main.ts'

const APP = join(import.meta.dirname, '../../../../examples/changesets/app.ts')
const CSV = join(import.meta.dirname, '../../../../examples/changesets/clips.csv')

describe('changeset', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-changeset-'))
  let millrace: Millrace
  let port = ''
  before(async () => {
    const app = await loadApp(APP)
    millrace = await openMillrace({ app, data: 'memory', logger: silentLogger })
    port = String((await millrace.listen({ port: 0 })).port)
  })
  after(async () => {
    await millrace.close()
    rmSync(folder, { recursive: true })
  })

  const run = async (...words: readonly string[]): Promise<{ exit: number; text: string }> => {
    let text = ''
    const say = (more: string): void => void (text += more)
    const exit = await runCommand(['changeset', ...words, '--port', port, '--app', APP], {
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
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)
  const plan = (...words: readonly string[]): ReturnType<typeof run> =>
    run('plan', 'catalogue', '--table', 'clip', ...words)

  it('plans files, shows what would change, runs it and takes it back', async () => {
    const lines = readFileSync(CSV, 'utf8').split('\n')
    write('two.csv', lines.slice(0, 3).join('\r\n'))
    const planned = await plan('--file', 'two.csv', '--id', 'two', '--title', 'first')
    assert.match(planned.text, /^two is planned: 2 effects, 0 in effect\.\nNext: /)
    assert.match(
      (await run('apply', 'two', '--rate', '50')).text,
      /two is applied: 2 effects, 2 in/,
    )
    write('mixed.jsonl', '{"id":"c1","do":"patch","attributes":{"title":"Cat"}}\n\n{"id":"c2","do":"remove"}\n{"id":"c1"}\n') // prettier-ignore
    assert.match((await plan('--file', 'mixed.jsonl', '--id', 'mixed')).text, /\(1 refused\)/)
    const dry = await run('dry-run', 'mixed', '--file', 'all.jsonl')
    assert.match(dry.text, /0 added, 1 changed, 1 removed\.\nFields: title 1\./)
    assert.match(dry.text, /surface home chooses from: 2 -> 1\./)
    assert.match(dry.text, /clip\/c1 +change +title: "Cat on a roof" -> "Cat"/)
    const file = readFileSync(join(folder, 'all.jsonl'), 'utf8').trimEnd().split('\n')
    const entries = file.map(line => JSON.parse(line) as { target: string; code?: string })
    assert.deepEqual(entries.map(({ code }) => code), [undefined, undefined, 'TARGET_TWICE']) // prettier-ignore
    await millrace.items('clip').put('c1', { title: 'moved', creator: 'x', topics: [] } as never)
    assert.match((await run('dry-run', 'mixed')).text, /Stale: 1 were changed .*: clip\/c1/)
    const stale = await run('apply', 'mixed')
    assert.equal(stale.exit, 1)
    assert.match(stale.text, /1 of the values that mixed is about .*: clip\/c1\./)
    const applied = await run('apply', 'mixed', '--moved', 'skip')
    assert.deepEqual([applied.exit, /1 left out/.test(applied.text)], [3, true], applied.text)
    assert.equal((await run('undo', 'mixed')).exit, 0)
    assert.match((await run('show', 'mixed')).text, /mixed is undone/)
    write('removed.csv', 'id\nc2\n')
    assert.match((await plan('--do', 'remove', '--file', 'removed.csv', '--id', 'gone')).text, /1 effects/) // prettier-ignore
    assert.match((await run('cancel', 'gone')).text, /gone is cancelled/)
    const asJson = await run('list', '--json', '-n', '1')
    const { changesets } = JSON.parse(asJson.text) as { changesets: { id: string }[] }
    assert.deepEqual(changesets.map(({ id }) => id), ['gone']) // prettier-ignore
    assert.match((await run('list', '--state', 'applied')).text, /two .* first/)
    assert.equal((await run('list', '--state', 'undoing')).text, 'There are none.\n')
    const all = await plan('--do', 'remove', '--where', '', '--id', 'all')
    assert.match(all.text, /all is planned: 2 effects/)
    const patch = await plan('--do', 'patch', '--where', 'topics=cats', '--set', 'title="Cats"')
    assert.match(patch.text, /1 effects/)
  })

  it('retracts events that a file names', async () => {
    const events = ['e1', 'e2', 'e3'].map(id => ({ type: 'watched', id, data: { viewer: 'p', clip: 'c1' } })) // prettier-ignore
    await millrace.trackMany(events)
    write('bots.csv', 'id\ne1\ne3\nnever\n')
    const planned = await run('plan', 'corrections', '--file', 'bots.csv', '--id', 'bots')
    assert.match(planned.text, /bots is planned: 2 effects \(1 refused\)/)
    assert.match((await run('apply', 'bots')).text, /2 in effect/)
    const ofEvent = millrace.streams.corrections.of('e3').map(one => one?.action)
    assert.deepEqual(ofEvent, ['retract'])
    assert.match((await run('undo', 'bots')).text, /bots is undone/)
    write('held.jsonl', '{"id":"e1","do":"hold"}\n{"id":"e2"}\n')
    const held = await run('plan', 'corrections', '--do', 'retract', '--file', 'held.jsonl')
    assert.match(held.text, /2 effects, 0 in effect/)
    write('bad.csv', 'id,why\ne1,x\n')
    assert.match((await run('plan', 'corrections', '--file', 'bad.csv')).text, /an event has no field why/) // prettier-ignore
    assert.match((await run('plan', 'corrections')).text, /Give the request as JSON, or --file/)
    const query = JSON.stringify({ query: { stream: 'person', data: { clip: 'c1' } } })
    assert.match((await run('plan', 'corrections', query)).text, /3 effects/)
  })

  it('refuses files that hold something else, with the lines', async () => {
    const garbage: readonly (readonly [file: string, text: string, said: RegExp])[] = [
      ['no-id.csv', 'title\nx\n', /line 1: it is no header with a column id/],
      ['empty.csv', '', /line 1: it is no header with a column id/],
      ['colour.csv', 'id,colour\nc1,red\n', /line 1: clip has no field colour/],
      ['short.csv', 'id,title,creator\nc1\nc2,x,y\n', /line 2: it has 1 cells, the header 3/],
      ['controls.csv', 'id,title,creator\nc1,x,a\u0001b\n', /line 2: creator: .* control/],
      ['many.jsonl', 'x\n'.repeat(9), /line 5: it is not JSON; and 4 more/],
      ['bytes.jsonl', '\u0000{"id":\n[1]\n', /line 1: it is not JSON; line 2: it is not a JSON object/], // prettier-ignore
    ]
    for (const [file, text, said] of garbage) {
      write(file, text)
      const ran = await plan('--file', file)
      assert.equal(ran.exit, 2, file)
      assert.match(ran.text, said, file)
    }
    write('verbs.jsonl', '{"id":7,"title":"x"}\n{"id":"c9","do":"burn"}\n')
    const burnt = await plan('--file', 'verbs.jsonl')
    assert.match(burnt.text, /The changeset cannot be planned: \/rows\/1\/do/)
    for (const [words, said] of [
      [['catalogue', '--file', 'verbs.jsonl'], /--table is missing/],
      [['catalogue', '--table', 'clip'], /either --file or --where/],
      [['catalogue', '--table', 'film', '--file', 'verbs.jsonl'], /no table film/],
      [['catalogue', '--table', 'clip', '--file', 'nothing.csv'], /cannot be read \(ENOENT\)/],
      [['catalogue', '{'], /not JSON/],
    ] as const) {
      assert.match((await run('plan', ...words)).text, said)
    }
    const asked = await run('plan', 'catalogue', '{"table":"clip","do":"remove","where":{}}')
    assert.match(asked.text, /is planned/)
  })
})
