import { spawn, type ChildProcess } from 'node:child_process'
import { watch } from 'node:fs'
import { dirname } from 'node:path'
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
const IGNORED = /(^|[/\\])(node_modules|\.[^/\\]+|dist)([/\\]|$)/

async function dev(context: CommandContext): Promise<void> {
  const file = findAppFile(context.cwd, context.options.app)
  if (file === undefined) {
    throw cliErrors.create('CLI_APP_MISSING', { reason: `${context.cwd} has no app.ts` })
  }
  const folder = dirname(file)
  const { clock, output } = context
  const changed = createSignal()
  const watcher = watch(folder, { recursive: true }, (_, name) => {
    if (name !== null && WATCHED.test(name) && !IGNORED.test(name)) changed.fire(name)
  })
  output.note(`Watching ${shortPath(context.cwd, folder)}; Ctrl+C stops.`)
  let isStopped = false
  void context.stopped.then(() => {
    isStopped = true
    changed.fire('')
  })
  try {
    while (!isStopped) {
      const child = startChild(file, context)
      const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
      void ended.then(code => {
        if (code !== null && code !== 0 && !isStopped) output.note('Waiting for a change ...')
      })
      const name = await changed.next()
      if (!isStopped) {
        await new Promise<void>(resolve => clock.after(SETTLE_MS, resolve))
        changed.reset()
        output.note(`${name} changed: starting again.`)
      }
      child.kill('SIGTERM')
      await ended
    }
  } finally {
    watcher.close()
  }
}

function startChild(file: string, context: CommandContext): ChildProcess {
  const command = fileURLToPath(new URL('../../../bin/millrace.mjs', import.meta.url))
  const { options } = context
  const words = ['start', '--app', file, '--data', context.data]
  if (options.port !== undefined) words.push('--port', options.port)
  if (options.json === true) words.push('--json')
  if (options.verbose === true) words.push('--verbose')
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
