import { spawn, type ChildProcess } from 'node:child_process'
import { watch, type FSWatcher } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { findAppFile } from '../app-file.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import type { Run } from '../run-command.ts'
import { shortPath } from './start.ts'

/** `dev`: `start`, again after every change. */
export function addDev(program: Command, run: Run): void {
  program
    .command('dev')
    .summary('like start, and restart when the definition changes')
    .description(
      'Serves the product and restarts when a file beside the app definition changes. ' +
        'A definition that cannot be used is shown, and waits for the next change.',
    )
    .action(run<[object]>(dev))
}

const SETTLE_MS = 150
const WATCHED = /\.(ts|mts|js|mjs|json)$/
const IGNORED = /^(node_modules|dist|\..*)$/
const FOLDERS_MAX = 200

async function dev(context: CommandContext): Promise<void> {
  const file = findAppFile(context.cwd, context.options.app)
  if (file === undefined) {
    throw cliErrors.create('CLI_APP_MISSING', { reason: `${context.cwd} has no app.ts` })
  }
  const folder = dirname(file)
  const { clock, output } = context
  const changed = createSignal()
  let watchers = await watchFolders(folder, changed.fire)
  output.note(`Watching ${shortPath(context.cwd, folder)}; Ctrl+C stops.`)
  let isStopped = false
  let isAgain = false
  void context.stopped().then(() => {
    isStopped = true
    changed.fire('')
  })
  try {
    while (!isStopped) {
      const child = startChild(file, context, isAgain)
      isAgain = true
      const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
      void ended.then(code => {
        if (code !== null && code !== 0 && !isStopped) output.note('Waiting for a change ...')
      })
      const name = await changed.next()
      if (!isStopped) {
        await new Promise<void>(resolve => clock.after(SETTLE_MS, resolve))
        changed.reset()
        for (const watcher of watchers) watcher.close()
        watchers = await watchFolders(folder, changed.fire)
        output.note(`${name} changed: starting again.`)
      }
      child.kill('SIGTERM')
      await ended
    }
  } finally {
    for (const watcher of watchers) watcher.close()
  }
}

/**
 * Watches a folder and those below it, each by itself: a recursive watch loses a file on Linux when
 * an editor replaces it.
 */
async function watchFolders(root: string, onChange: (name: string) => void): Promise<FSWatcher[]> {
  const folders = [root]
  for (const folder of folders) {
    if (folders.length >= FOLDERS_MAX) break
    const entries = await readdir(folder, { withFileTypes: true })
    for (const entry of entries) {
      if (entry.isDirectory() && !IGNORED.test(entry.name)) folders.push(join(folder, entry.name))
    }
  }
  return folders.slice(0, FOLDERS_MAX).map(folder =>
    watch(folder, (_, name) => {
      if (name !== null && WATCHED.test(name)) onChange(name)
    }),
  )
}

function startChild(file: string, context: CommandContext, isAgain: boolean): ChildProcess {
  const command = fileURLToPath(new URL('../../../bin/millrace.mjs', import.meta.url))
  const { options } = context
  const words = ['start', '--app', file]
  if (options.data !== undefined) words.push('--data', options.data)
  if (options.port !== undefined) words.push('--port', options.port)
  if (options.json === true) words.push('--json')
  if (options.verbose === true) words.push('--verbose')
  if (isAgain) words.push('--again')
  return spawn(process.execPath, [command, ...words], { stdio: ['ignore', 'inherit', 'inherit'] })
}

/** Changes, gathered until somebody asks. */
function createSignal(): { fire(name: string): void; next(): Promise<string>; reset(): void } {
  let waiting: ((name: string) => void) | undefined
  let fired: string | undefined
  return {
    fire(name) {
      if (waiting === undefined) fired ??= name
      else waiting(name)
      waiting = undefined
    },
    next() {
      if (fired === undefined) return new Promise(resolve => (waiting = resolve))
      const name = fired
      fired = undefined
      return Promise.resolve(name)
    },
    reset() {
      fired = undefined
    },
  }
}
