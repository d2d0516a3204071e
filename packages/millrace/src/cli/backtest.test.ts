import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { silentLogger, systemClock, systemRandom, type App } from '@millrace/core'
import type { Catalogue, Recommendations } from '@millrace/product'
import { openMillrace } from '../millrace.ts'
import { runCommand } from './main.ts'

const INDEX = new URL('../index.ts', import.meta.url).href

/** A definition whose home surface is `home`. */
const source = (home: string): string => `
import { defineApp, defineFilter, event, id, int, item, signal, surface, text } from '${INDEX}'
const Clip = item('clip', { title: text(), creator: id('creator') })
const watched = event('watched', { viewer: id('person'), clip: id('clip'), ms: int() }, { key: 'viewer' })
export default defineApp({
  name: 'clips', items: [Clip], events: [watched],
  signals: [signal(watched, { item: 'clip' })],
  surfaces: { home: surface({ items: Clip, size: { default: 3, max: 5 }, ${home} }) },
})
`

async function run(
  words: readonly string[],
  cwd: string,
): Promise<{ readonly exit: number; readonly out: string }> {
  let out = ''
  const write = (text: string): void => void (out += text)
  const exit = await runCommand(words, {
    terminal: { out: write, err: write, isInteractive: false, columns: 100 },
    cwd,
    environment: {},
    clock: systemClock,
    random: systemRandom,
    stopped: () => Promise.reject(new Error('no command waits')),
    modules: [],
  })
  return { exit, out }
}

async function folder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-backtest-'))
  t.after(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'app.ts'), source('explore: 0.3'))
  const filter = `defineFilter({ name: 'no m1', keep: ({ attributes }) => attributes?.creator !== 'm1' })`
  await writeFile(
    join(directory, 'changed.ts'),
    source(`explore: 0.3, filters: ['seen', ${filter}]`),
  )
  return directory
}

test('backtest answers the past of a directory beside the process that owns it', async t => {
  const directory = await folder(t)
  const data = join(directory, '.millrace')
  const { default: app } = (await import(pathToFileURL(join(directory, 'app.ts')).href)) as {
    default: App
  }
  const millrace = await openMillrace({ app, data, logger: silentLogger })
  t.after(() => millrace.close())
  const catalogue = millrace.module<Catalogue>('catalogue')
  const recommendations = millrace.module<Recommendations>('recommendations')
  for (let clip = 0; clip < 12; clip++) {
    const attributes = { title: `Clip ${clip}`, creator: `m${clip % 3}` }
    await catalogue.put('clip', [{ id: `c${clip}`, attributes }])
  }
  const asked = 20
  let answerId = ''
  for (let number = 0; number < asked; number++) {
    const viewer = `p${number % 4}`
    ;({ answerId } = recommendations.recommend('home', { person: viewer }))
    const event = { type: 'watched', data: { viewer, clip: `c${number % 12}`, ms: 500 } }
    const { position } = await millrace.trackLines(Buffer.from(JSON.stringify(event)))
    await millrace.reached(position, { timeoutMs: 60_000 })
  }
  // What is asked for by its id is written first.
  await recommendations.flush()

  await t.test('the same definition: nothing differs', async () => {
    const { exit, out } = await run(['backtest', '--surface', 'home'], directory)
    assert.equal(exit, 0, out)
    assert.match(out, /^home: 20 answers given again, 0 differ, of 0 of 4 people\.\n/)
    assert.match(out, /People acted on \d+\.\d % of the slots. By this definition \d/)
  })

  await t.test('another one: what it takes, as text, as JSON, as a file', async () => {
    const words = ['backtest', '--surface', 'home', '--app', 'changed.ts']
    const { exit, out } = await run([...words, '--out', 'differences.jsonl'], directory)
    assert.equal(exit, 0, out)
    assert.match(out, /taken by +slots +of all\n/)
    assert.match(out, /filter no m1 +\d+ +\d+\.\d %/)
    assert.match(out, /creator +m1 +\d+ +0\n/)
    const lines = (await readFile(join(directory, 'differences.jsonl'), 'utf8')).trim().split('\n')
    const { out: text } = await run([...words, '--json'], directory)
    const report = JSON.parse(text) as { requests: { different: number } }
    assert.equal(lines.length, report.requests.different)
    assert.ok(lines.length > 0)
    const clipped = await run(['backtest', '--surface', 'home', '--clip', '0.5'], directory)
    assert.match(clipped.out.replaceAll(/\s+/g, ' '), /The weights of \d+\.\d % of the slots were cut; the greatest was 1\.0\./) // prettier-ignore
    assert.match((await run([...words, '--clip', 'x'], directory)).out, /--clip x is no weight/)
  })

  await t.test('one answer is the very same, with its terms', async () => {
    const { exit, out } = await run(
      ['backtest', '--surface', 'home', '--answer', answerId],
      directory,
    )
    assert.equal(exit, 0, out)
    assert.match(out, /home: 1 answers given again/)
    assert.match(out, /\nThe very same answer\.\n#.*terms/)
    const words = ['backtest', '--surface', 'home', '--answer', answerId, '--app', 'changed.ts']
    assert.match((await run(words, directory)).out, /no m1|The very same answer/)
  })

  await t.test('a span without answers says so', async () => {
    const words = [
      'backtest',
      '--surface',
      'home',
      '--from',
      '2001-01-01',
      '--to',
      '2001-01-02T10:00:00Z',
    ]
    assert.match((await run(words, directory)).out, /^home: 0 answers given again/)
  })
})

test('what cannot be tested is refused before anything is read', async t => {
  const directory = await folder(t)
  const refused = async (pattern: RegExp, ...words: readonly string[]): Promise<void> => {
    const { exit, out } = await run(['backtest', ...words], directory)
    assert.ok(exit > 0)
    assert.match(out, pattern)
  }
  await refused(/holds no log/, '--surface', 'home')
  await refused(/--surface/)
})
