import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { defineApp, event, id, isError, systemClock, systemRandom } from '@millrace/core'
import { openMillrace } from '../millrace.ts'
import { standardModules } from '../wiring/modules.ts'
import { runCommand } from './main.ts'

const COMMAND = fileURLToPath(new URL('../../bin/millrace.mjs', import.meta.url))
const PACKAGE = fileURLToPath(new URL('../../', import.meta.url))
const root = await mkdtemp(join(tmpdir(), 'millrace-cli-'))
const children = new Set<ChildProcess>()
after(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(root, { recursive: true })
})

interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function launch(words: readonly string[], cwd = root): { child: ChildProcess; ran: Promise<Ran> } {
  const child = spawn(process.execPath, [COMMAND, ...words], { cwd })
  children.add(child)
  let out = ''
  let err = ''
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const ran = new Promise<Ran>(resolve =>
    child.on('close', code => {
      children.delete(child)
      resolve({ code, out, err })
    }),
  )
  return { child, ran }
}

/** Runs a command in this process, which starts faster. */
async function json(
  words: readonly string[],
  cwd = root,
  environment: Readonly<Record<string, string>> = {},
  clock = systemClock,
): Promise<Record<string, unknown>> {
  let out = ''
  let err = ''
  const exit = await runCommand([...words, '--json'], {
    terminal: {
      out: text => void (out += text),
      err: text => void (err += text),
      isInteractive: false,
      columns: 80,
    },
    cwd,
    environment,
    clock,
    random: systemRandom,
    stopped: () => new Promise(() => undefined),
    modules: standardModules(),
  })
  const lines = out.trimEnd().split('\n')
  assert.equal(lines.length, 1, `${words.join(' ')}: ${out}${err}`)
  return { exit, ...(JSON.parse(out) as object) }
}

/** A server of a folder; resolves when it answers. */
async function serve(
  cwd: string,
): Promise<{ url: string; port: string; stop: () => Promise<Ran>; child: ChildProcess }> {
  const { child, ran } = launch(['start', '--port', '0', '--json'], cwd)
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString()))
    void ran.then(({ err }) => reject(new Error(err)))
  })
  const { url, port } = JSON.parse(line) as { url: string; port: number }
  const stop = (): Promise<Ran> => {
    child.kill('SIGTERM')
    return ran
  }
  return { url, port: String(port), stop, child }
}

const shop = join(root, 'shop')
before(async () => {
  const made = await json(['init', 'shop'])
  assert.equal(made['exit'], 0)
  // What npm install does, without a registry.
  await mkdir(join(shop, 'node_modules'))
  await symlink(PACKAGE, join(shop, 'node_modules/millrace'), 'dir')
})

test('init refuses a folder that has a project', async () => {
  const again = await json(['init', 'shop'])
  assert.equal(again['exit'], 1)
  assert.equal((again['error'] as { code: string }).code, 'CLI_FOLDER_TAKEN')
  assert.deepEqual((await readdir(shop)).sort(), [
    '.gitignore',
    'README.md',
    'app.ts',
    'events.ndjson',
    'node_modules',
    'package.json',
    'tsconfig.json',
  ])
})

test('a new project: start, track, recommend, explain, log, doctor, stop', async () => {
  const server = await serve(shop)
  const seeded = await json(['track', '--file', 'events.ndjson'], shop)
  assert.deepEqual([seeded['exit'], seeded['appended']], [0, 21])
  assert.equal((await json(['track', '--file', 'events.ndjson'], shop))['duplicates'], 21)

  const tracked = await json(['track', 'read', 'reader=zoe', 'article=a5', 'seconds=90'], shop)
  assert.equal(tracked['status'], 'appended')
  // What `start` proposes: ids that read as numbers are texts all the same.
  const numbered = await json(['track', 'read', 'reader=1', 'article=1', 'seconds=1'], shop)
  assert.equal(numbered['status'], 'appended')
  const answer = await json(
    ['recommend', '--surface', 'home', '--person', 'zoe', '--n', '3', '--explain'],
    shop,
  )
  const items = answer['items'] as {
    id: string
    attributes: { title: string }
    reasons: string[]
  }[]
  assert.equal(items.length, 3)
  assert.ok(items.every(item => item.id !== 'a5' && item.attributes.title !== ''))
  assert.ok(items.every(item => item.reasons.length > 0))

  const stats = await json(['log', 'stats'], shop)
  const streams = stats['streams'] as { name: string }[]
  assert.ok(streams.some(({ name }) => name === 'person'))
  const tail = await json(['log', 'tail', '-n', '1'], shop)
  assert.equal((tail['records'] as { key: string }[])[0]?.key, '1')
  const read = await json(['log', 'read', 'person', '--key', 'zoe'], shop)
  assert.equal((read['records'] as unknown[]).length, 1)
  const doctor = await json(['doctor', '--port', '0'], shop)
  assert.equal(doctor['problems'], 0)
  assert.match(logFinding(doctor)?.message ?? '', /owner is ready/)

  const second = await json(['start', '--port', '0'], shop)
  assert.equal(second['exit'], 4)
  assert.equal((second['error'] as { code: string }).code, 'DIRECTORY_LOCKED')

  assert.equal((await server.stop()).code, 0)
  const after = await json(['recommend', '--surface', 'home', '--person', 'zoe', '-n', '1'], shop)
  assert.equal((after['items'] as unknown[]).length, 1)
})

const logFinding = (doctor: Record<string, unknown>) =>
  (doctor['findings'] as { check: string; message: string; remedy: string }[]).find(
    ({ check }) => check === 'log',
  )

test('doctor names damage of the log and what to do about it', async () => {
  const folder = join(root, 'damaged')
  const app = defineApp({
    name: 'seen',
    events: [event('seen', { person: id('person') }, { key: 'person' })],
  })
  const data = join(folder, '.millrace')
  const millrace = await openMillrace({ app, data, logLevel: 'silent' })
  for (const person of ['ada', 'ben', 'cleo']) await millrace.track('seen', { person })
  await millrace.close()
  const look = (...words: string[]) => json(['doctor', '--port', '0', ...words], folder)
  assert.match(logFinding(await look())?.message ?? '', /^opens; \d+ records/)
  assert.match(logFinding(await look('--deep'))?.message ?? '', /^all \d+ records can be read$/)

  const journal = join(data, 'log/journal')
  const path = join(journal, (await readdir(journal)).sort()[0] as string)
  const content = await readFile(path)
  // The first unit after the header: later ones were acknowledged after it.
  content.fill(0xff, 40, 44)
  await writeFile(path, content)
  const found = await look()
  assert.deepEqual([found['exit'], found['problems']], [1, 1])
  assert.match(logFinding(found)?.message ?? '', /\.jnl is damaged at byte \d+/)
  assert.match(logFinding(found)?.remedy ?? '', /Restore the file from a backup/)
})

test('tail --follow prints what comes, one object a line, until it is stopped', async () => {
  const server = await serve(shop)
  const { child, ran } = launch(['log', 'tail', '-n', '0', '--follow', '--json'], shop)
  // The stream is open once the first record arrives; events are sent until then.
  const seen = new Promise<void>(resolve => child.stdout?.once('data', () => resolve()))
  let isSeen = false
  void seen.then(() => (isSeen = true))
  while (!isSeen) {
    await fetch(`${server.url}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'read', data: { reader: 'tim', article: 'a1', seconds: 1 } }),
    })
  }
  child.kill('SIGINT')
  const { out } = await ran
  const [first = ''] = out.split('\n')
  assert.equal((JSON.parse(first) as { key: string }).key, 'tim')
  await server.stop()
})

test('views: their list, a key, pages and the greatest; a wrong name is refused', async () => {
  const folder = join(root, 'viewed')
  await mkdir(join(folder, 'node_modules'), { recursive: true })
  await symlink(PACKAGE, join(folder, 'node_modules/millrace'), 'dir')
  await writeFile(
    join(folder, 'app.ts'),
    `import { countView, defineApp, event, id, view } from 'millrace'
     const seen = event('seen', { person: id('person'), film: id('film') }, { key: 'person' })
     const last = { initial: () => ({}), fold: (state, { data }) => void (state.film = data.film) }
     const views = {
       last: view({ from: [seen], key: 'person', ...last }),
       plays: countView({ from: [seen], key: 'film' }),
     }
     export default defineApp({ name: 'films', events: [seen], views })\n`,
  )
  const events = ['a', 'b', 'b', 'c/d'].map(film => ({ type: 'seen', data: { person: 'p', film } }))
  const steering = await launch(['track', '\u001b[2J', 'x=1'], folder).ran
  assert.match(steering.err, /no event \ufffd\[2J is declared/)
  await writeFile(join(folder, 'seen.ndjson'), events.map(seen => JSON.stringify(seen)).join('\n'))
  assert.equal((await json(['track', '--file', 'seen.ndjson'], folder))['appended'], 4)

  const [, view] = (await json(['view'], folder))['views'] as { name: string; keys: number }[]
  assert.deepEqual([view?.name, view?.keys], ['plays', 3])
  const entries = async (words: string[]): Promise<unknown[][]> => {
    const body = await json(['view', 'plays', ...words], folder)
    return (body['entries'] as { key: string; value: unknown }[]).map(({ key, value }) => [key, value]) // prettier-ignore
  }
  assert.deepEqual(await entries([]), [['a', 1], ['b', 2], ['c/d', 1]]) // prettier-ignore
  assert.deepEqual(await entries(['-n', '1', '--after', 'a']), [['b', 2]])
  assert.deepEqual(await entries(['-n', '1', '--top']), [['b', 2]])
  assert.equal((await json(['view', 'plays', '--key', 'c/d'], folder))['value'], 1)
  assert.equal((await json(['view', 'plays', '--key', 'z'], folder))['value'], null)
  const moment = new Date().toISOString()
  const early = '2020-01-01T00:00:00Z'
  const then = await json(['view', 'plays', '--key', 'c/d', '--at', moment], folder)
  assert.equal(then['value'], 1)
  const changes = await json(['changes', 'plays', 'c/d', '--to', moment], folder)
  assert.deepEqual(
    (changes['changes'] as { before: unknown; after: unknown }[]).map(({ before, after }) => [before, after]), // prettier-ignore
    [[null, 1]],
  )
  const explained = await launch(['changes', 'plays', 'c/d'], folder).ran
  assert.match(explained.out, /^when +what +before +after\n\S+ \S+ +seen +nothing +1\n$/)
  const unmoved = await launch(['changes', 'plays', 'z', '-n', '1'], folder).ran
  assert.match(unmoved.out, /^Nothing changed it\.$/m)
  const causes = await json(['what-changed', 'plays', 'c/d', '--from', early], folder)
  assert.deepEqual((causes['causes'] as { kind: string; records: number }[]).map(({ kind, records }) => [kind, records]), [['traffic', 1]]) // prettier-ignore
  const whatChanged = await launch(['what-changed', 'plays', '--from', early, '--rate', 'a/b'], folder).ran // prettier-ignore
  assert.match(
    whatChanged.out,
    /^plays: - -> 4 \(\+4\)\.\na \/ b: nothing to divide by\.\ncause +events +field/,
  )
  assert.match(whatChanged.out, /^traffic seen +4 +\+4 +- -> 4$/m)
  const same = await launch(['what-changed', 'plays', 'b', '--from', moment, '--to', moment], folder).ran // prettier-ignore
  assert.equal(same.out, 'plays of b: what it was.\n')
  const nobody = await launch(['what-changed', '--person', 'nobody', '--from', early], folder).ran
  assert.equal(nobody.out, 'nobody: what it was.\n')
  const text = await launch(['view', 'plays'], folder).ran
  assert.equal(text.out, 'key  value\na        1\nb        2\nc/d      1\n')
  for (const [words, exit, code] of [
    [['view', 'play'], 1, 'VIEW_UNKNOWN'],
    [['view', '--key', 'a'], 2, 'CLI_USAGE'],
    [['view', 'plays', '--at', early], 2, 'CLI_USAGE'],
    [['view', 'plays', '--key', 'a', '--at', early], 1, 'MOMENT_EMPTY'],
    [['changes', 'plays', 'a', '--from', '2999-01-01T00:00:00Z'], 1, 'MOMENT_AHEAD'],
    [['what-changed', 'plays', '--from', early, '--rate', 'a'], 2, 'CLI_USAGE'],
    [['what-changed', 'plays', '--person', 'p', '--from', early], 2, 'CLI_USAGE'],
    [['what-changed', '--item', 'none/a', '--from', early], 1, 'KIND_UNKNOWN'],
    [['view', 'plays', '-n', 'x'], 1, 'REQUEST_INVALID'],
    [['view', 'last', '--top'], 1, 'REQUEST_INVALID'],
  ] as const) {
    const refused = await json([...words], folder)
    assert.deepEqual([refused['exit'], (refused['error'] as { code: string }).code], [exit, code])
  }
})

test('init: a new project has no type errors', async () => {
  const compiler = fileURLToPath(import.meta.resolve('typescript/package.json'))
  const child = spawn(join(compiler, '../bin/tsc'), ['--noEmit', '--project', shop])
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await new Promise(resolve => child.on('close', resolve))
  assert.equal(said, '')
})

test('init: a project whose user has an old Node brings a newer one along', async () => {
  const manifest = async (folder: string, agent: string): Promise<Record<string, unknown>> => {
    await json(['init', folder], root, { npm_config_user_agent: agent })
    const text = await readFile(join(root, folder, 'package.json'), 'utf8')
    return JSON.parse(text) as Record<string, unknown>
  }
  const old = await manifest('by-20', 'npm/10.8.2 node/v20.20.2 linux x64 workspaces/false')
  assert.deepEqual(old['devDependencies'], { node: '^24.0.0', typescript: '^7.0.0' })
  const recent = await manifest('by-24', 'npm/11.0.0 node/v24.1.0 linux x64 workspaces/false')
  assert.deepEqual(recent['devDependencies'], { typescript: '^7.0.0' })
})

test('a host process: its owner is named until it announces where it answers', async () => {
  const folder = join(root, 'hosted')
  const seen = event('seen', { person: id('person') }, { key: 'person' })
  const app = defineApp({ name: 'hosted', events: [seen] })
  const millrace = await openMillrace({ app, data: join(folder, '.millrace'), logLevel: 'silent' })
  const site = createServer((request, response) => {
    request.url = (request.url ?? '').replace(/^\/api/, '')
    millrace.handler(request, response)
  })
  try {
    let passedMs = 0
    const clock = { ...systemClock, monotonicMs: () => (passedMs += 1000) }
    const silent = await json(['log', 'stats'], folder, {}, clock)
    const { code, details } = silent['error'] as { code: string; details: { pid: number } }
    assert.deepEqual([silent['exit'], code, details.pid], [4, 'CLI_OWNER_SILENT', process.pid])

    await assert.rejects(millrace.announce('nowhere'), error => isError(error, 'CONFIG_INVALID'))
    await new Promise<void>(done => site.listen(0, '127.0.0.1', done))
    await millrace.announce(`http://127.0.0.1:${(site.address() as AddressInfo).port}/api/`)
    const tracked = await json(['track', 'seen', 'person=ada'], folder)
    assert.equal(tracked['status'], 'appended')

    site.close()
    site.closeAllConnections()
    const doctor = await json(['doctor', '--port', '0'], folder)
    const log = logFinding(doctor)
    assert.match(log?.message ?? '', /its owner, process \d+, does not answer at http/)
    assert.match(log?.remedy ?? '', /^Wait/)
  } finally {
    site.closeAllConnections()
    site.close()
    await millrace.close()
  }
})

test('refusals: one object with code, remedy and exit code', async () => {
  const cases: [string[], number, string][] = [
    [['nonsense'], 2, 'CLI_USAGE'],
    [['track'], 2, 'CLI_USAGE'],
    [['track', 'read', 'x'], 2, 'CLI_USAGE'],
    [['log', 'read', 'person', '-n', 'x'], 2, 'CLI_USAGE'],
    [['recommend', '--person', '1'], 2, 'CLI_USAGE'],
    [['log', 'stats', '--port', '99999'], 2, 'CONFIG_INVALID'],
    [['log', 'stats', '--port', '1'], 4, 'CLI_UNREACHABLE'],
    [['track', 'reed', 'reader=1'], 1, 'EVENT_TYPE_UNKNOWN'],
    [['import', 'csv', 'nowhere.csv'], 1, 'IMPORT_SOURCE_MISSING'],
    [['import', 'csv', 'app.ts', '--map', 'reader'], 2, 'CLI_USAGE'],
    [['start', '--app', 'nowhere.ts'], 1, 'CLI_APP_MISSING'],
    [['init', 'app.ts'], 2, 'CLI_USAGE'],
    [['log', 'stats', '--data', 'app.ts'], 2, 'CONFIG_INVALID'],
    [['import', 'csv', 'app.ts', '--delimiter', ''], 2, 'CLI_USAGE'],
    [['log', 'read', '../x'], 1, 'LOG_STREAM_UNKNOWN'],
  ]
  for (const [words, exit, code] of cases) {
    const answer = await json(words, shop)
    const error = answer['error'] as { code: string; remedy: string; exitCode: number }
    assert.deepEqual([words, answer['exit'], error.code], [words, exit, code])
    assert.equal(error.exitCode, exit)
    assert.ok(error.remedy.length > 0)
  }
  const usage = async (...words: string[]): Promise<string> => {
    const { message, remedy } = (await json(words, shop))['error'] as Record<string, string>
    return `${message} ${remedy}`
  }
  assert.match(
    await usage('import'),
    /missing: movielens, csv, jsonl, export\. See: millrace import --help/,
  )
  assert.match(await usage('import', 'tsv'), /unknown command 'tsv'.*See: millrace import --help/s)
  assert.match(await usage('log', 'read'), /argument 'stream' See: millrace log read --help/)
  const wrong = (await json(['track', 'read', 'reader=1'], shop))['error'] as { message: string }
  assert.match(wrong.message, /^The event is refused at \/data.*: .*/)
})

test('schemas compare says what is not kept, where, and why', async () => {
  const write = (name: string, schema: unknown): Promise<void> =>
    writeFile(join(root, name), JSON.stringify(schema))
  await write('old.json', { type: 'object', properties: { a: { type: 'integer' } } })
  await write('new.json', { type: 'object', properties: { a: { type: 'string' } } })
  const record = (...fields: readonly unknown[]): unknown => ({ type: 'record', name: 'r', fields })
  await write('old.avsc', record({ name: 'a', type: 'int' }))
  await write('new.avsc', record({ name: 'a', type: 'long' }, { name: 'b', type: 'int' }))
  const refused = await json(['schemas', 'compare', 'new.json', 'old.json'])
  assert.equal(refused['exit'], 1)
  assert.deepEqual(refused['refusals'], [
    {
      version: 1,
      direction: 'backward',
      code: 'TYPE_CHANGED',
      path: '#/properties/a',
      reason: 'the type changed, and the new one does not read values of the old',
    },
  ])
  assert.equal((await json(['schemas', 'compare', 'old.json', 'old.json']))['exit'], 0)
  const avro = ['schemas', 'compare', 'new.avsc', 'old.avsc', '--level']
  assert.equal((await json([...avro, 'BACKWARD']))['exit'], 1)
  assert.equal((await json([...avro, 'NONE']))['exit'], 0)
  assert.equal((await json(['schemas', 'compare', 'none.json', 'old.json']))['exit'], 1)
  const text = await launch(['schemas', 'compare', 'new.avsc', 'old.avsc']).ran
  assert.match(text.out, /BACKWARD is not kept[^]*#\/fields\/1 {2}the field b was added/)
})

test('a definition that cannot be used is refused with its place', async () => {
  const folder = join(root, 'broken')
  await mkdir(folder)
  await writeFile(join(folder, 'app.ts'), 'export const x = 1\nconst y = {\n')
  const syntax = await json(['start'], folder)
  const { code, message } = syntax['error'] as { code: string; message: string }
  assert.equal(code, 'CLI_APP_INVALID')
  assert.match(message, /app\.ts:\d/)
  await writeFile(join(folder, 'millrace.app.ts'), 'export default { name: "x" }\n')
  assert.match(
    ((await json(['start'], folder))['error'] as { message: string }).message,
    /exports no app/,
  )
})

test('a built-in app: import without an app, remembered by the data directory', async () => {
  const folder = join(root, 'history')
  await mkdir(join(folder, 'ml'), { recursive: true })
  const ratings = Array.from(
    { length: 600 },
    (_, index) => `${index % 20},${(index * 7) % 61},${(index % 9) / 2 + 1},${964_982_000 + index}`,
  )
  const movies = Array.from({ length: 61 }, (_, index) => `${index},Film ${index} (1999),Drama`)
  const csv = (header: string, rows: string[]): Buffer =>
    gzipSync(`${header}\n${rows.join('\n')}\n`)
  await writeFile(
    join(folder, 'ml/ratings.csv.gz'),
    csv('userId,movieId,rating,timestamp', [...ratings, 'x,y']),
  )
  await writeFile(join(folder, 'ml/movies.csv.gz'), csv('movieId,title,genres', movies))

  const first = await json(['import', 'movielens', 'ml'], folder)
  assert.deepEqual([first['exit'], first['appended'], first['refused']], [3, 661, 1])
  const refused = await readFile(String(first['refusedFile']), 'utf8')
  assert.equal((JSON.parse(refused) as { line: number }).line, 602)
  const second = await json(['import', 'movielens', 'ml'], folder)
  assert.deepEqual([second['appended'], second['duplicates']], [0, 661])

  const answer = await json(['recommend', '--surface', 'home', '--person', '3', '-n', '5'], folder)
  const items = answer['items'] as { attributes: { title: string } }[]
  assert.equal(items.length, 5)
  assert.match(items[0]?.attributes.title ?? '', /^Film \d+ \(1999\)$/)

  const server = await serve(folder)
  const third = await json(['import', 'movielens', 'ml'], folder)
  assert.deepEqual([third['appended'], third['duplicates'], third['refused']], [0, 661, 1])
  await server.stop()
})

test('keys: made once, then the server of the directory asks for them and its commands go on', async () => {
  const folder = join(root, 'guarded')
  await mkdir(folder)
  await cp(join(shop, 'app.ts'), join(folder, 'app.ts'))
  await mkdir(join(folder, 'node_modules'))
  await symlink(PACKAGE, join(folder, 'node_modules/millrace'), 'dir')
  assert.deepEqual((await json(['keys', 'list'], folder))['keys'], [])
  const admin = await json(['keys', 'create', 'admin', '--name', 'ops'], folder)
  assert.match(String(admin['key']), /^millrace_admin_/)
  const web = ['keys', 'create', 'public', '--origin', 'https://a.example', 'https://b.example']
  const made = await json([...web, '--rate', '10'], folder)
  assert.deepEqual(made['origins'], ['https://a.example', 'https://b.example'])
  assert.deepEqual([made['requestsPerSecond'], made['burst'], made['name']], [10, 20, 'public'])
  const nowhere = await json(['keys', 'create', 'public'], folder)
  assert.deepEqual(
    [nowhere['exit'], (nowhere['error'] as { code: string }).code],
    [1, 'REQUEST_INVALID'],
  )

  const server = await serve(folder)
  assert.equal((await fetch(`${server.url}/v1/views`)).status, 401)
  const headers = { authorization: `Bearer ${String(admin['key'])}` }
  assert.equal((await fetch(`${server.url}/v1/views`, { headers })).status, 200)
  // Commands on this machine need no key: the lock and the secret of the directory let them in.
  const tracked = await json(['track', 'read', 'reader=zoe', 'article=a5', 'seconds=90'], folder)
  assert.equal(tracked['status'], 'appended')
  const rotated = await json(['keys', 'rotate', String(admin['id']), '--grace', '0'], folder)
  assert.equal((await fetch(`${server.url}/v1/views`, { headers })).status, 401)
  // With a port and no directory in common, the environment says the key.
  const elsewhere = { MILLRACE_KEY: String(rotated['key']) }
  const away = ['log', 'stats', '--port', server.port, '--data', 'other']
  assert.equal((await json(away, root, elsewhere))['exit'], 0)
  const refused = await json(away)
  assert.deepEqual(
    [refused['exit'], (refused['error'] as { code: string }).code],
    [1, 'KEY_MISSING'],
  )
  // With another folder's data, the port is a mistake: an option is believed, of two neither.
  const own = await json(['log', 'stats', '--port', server.port, '--data', '.millrace'], folder)
  assert.equal(own['exit'], 0)
  const data = join(shop, '.millrace')
  const both = await json(['log', 'stats', '--port', server.port, '--data', data], shop)
  assert.equal((both['error'] as { code: string }).code, 'CLI_DATA_ELSEWHERE')
  const PORT = { PORT: server.port }
  assert.equal((await json(['view', '--data', data], shop, PORT))['exit'], 0)
  const ended = await json(['keys', 'revoke', String(made['id'])], folder)
  assert.notEqual(ended['revokedMs'], null)
  await server.stop()
  const keys = (await json(['keys', 'list'], folder))['keys'] as { name: string; usedMs: number }[]
  assert.deepEqual(
    keys.map(({ name }) => name),
    ['ops', 'public'],
  )
  assert.ok((keys[0]?.usedMs ?? 0) > 0)
})

test('a signal ends a command that does not wait for one', async () => {
  const folder = join(root, 'interrupted')
  await mkdir(folder)
  const rows = Array.from({ length: 20_000 }, (_, index) => `p${index},i,${1_000_000_000 + index}`)
  await writeFile(join(folder, 'x.csv'), `person,item,at\n${rows.join('\n')}\n`)
  const { child, ran } = launch(['import', 'csv', 'x.csv'], folder)
  child.stderr?.once('data', () => child.kill('SIGINT'))
  await ran
  assert.equal(child.signalCode, 'SIGINT')
  assert.equal((await json(['import', 'csv', 'x.csv'], folder))['exit'], 0)
})
