import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { after, test } from 'node:test'
// #region test
import { tryOldEvents } from 'millrace/schemas'
import { app } from './after.ts'

test('old events of every shape are read by the definition of today', () => {
  assert.deepEqual(tryOldEvents(app).faults, [])
})
// #endregion

const checkout = dirname(dirname(import.meta.dirname))
const folder = mkdtempSync(join(tmpdir(), 'millrace-evolution-'))
after(() => rmSync(folder, { recursive: true }))

/** Runs a command of the shell file in the folder; with `npx` meaning this checkout. */
function run(words: readonly string[]): { readonly code: number | null; readonly out: string } {
  const command = join(checkout, 'packages/millrace/bin/millrace.mjs')
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...words], {
    cwd: folder,
    encoding: 'utf8',
  })
  return { code: status, out: stdout + stderr }
}

/** The command of a region of the shell file. */
function command(region: string): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, 'evolution.sh'), 'utf8')
  const [, line = ''] = new RegExp(`#region ${region}\\nnpx millrace (.*)\\n`).exec(text) ?? []
  return line.split(' ')
}

test('the commands of the page print what it shows', () => {
  for (const name of ['before.ts', 'broken.ts', 'after.ts', 'old.json', 'new.json']) {
    cpSync(join(import.meta.dirname, name), join(folder, name))
  }
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(join(checkout, 'packages/millrace'), join(folder, 'node_modules/millrace'), 'dir')
  const tracked = run([
    ...['track', 'watched', '{"viewer":"ann","clip":"c1","seconds":7}', '--id', 'e1'],
    ...['--app', 'before.ts'],
  ])
  assert.equal(tracked.code, 0, tracked.out)

  const shown = (name: string): string =>
    readFileSync(join(import.meta.dirname, 'output', name), 'utf8')
  const compared = run(command('compare'))
  assert.equal(compared.code, 1)
  assert.equal(compared.out, shown('compare.txt'))
  const broken = run(command('check'))
  assert.equal(broken.code, 1)
  assert.equal(broken.out, shown('check.txt'))
  assert.equal(run(['log', 'stats', '--app', 'broken.ts']).code, 1)
  const fits = run(command('check-after'))
  assert.equal(fits.code, 0, fits.out)
  assert.equal(fits.out, shown('check-after.txt'))
  const view = run(command('view'))
  assert.match(view.out, /"ms":7000/)
  const list = run(command('list')).out.split('\n')
  assert.match(list.find(line => line.startsWith('watched')) ?? '', /watched +2 +BACKWARD_TRANSIT/)
  const history = JSON.parse(run(['schemas', 'history', 'watched', '--json']).out) as {
    versions: readonly { version: number }[]
  }
  assert.deepEqual(
    history.versions.map(({ version }) => version),
    [1, 2],
  )
  assert.equal(run(['schemas', 'history', 'nothing', '--json']).code, 1)
})
