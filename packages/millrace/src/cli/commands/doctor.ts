import { availableParallelism, totalmem, freemem } from 'node:os'
import { createServer } from 'node:net'
import { access, constants, mkdtemp, open, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isError } from '@millrace/core'
import { openNodeDisk } from '@millrace/log/disk'
import type { Command } from 'commander'
import { unfinishedImports } from '../../import/index.ts'
import { VERSION } from '../../version.ts'
import { readIdentity } from '../../wiring/identity.ts'
import { findAppFile, loadApp } from '../app-file.ts'
import { rememberedApp } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { EXIT_REFUSED } from '../exit-codes.ts'
import { bytes } from '../output.ts'
import { ownerOf } from '../owner.ts'
import type { Run } from '../run-command.ts'
import { checkDatabase } from './doctor-database.ts'
import { checkLog, type LogCheckOptions } from './doctor-log.ts'
import { shortPath } from './start.ts'
import { wrap } from '../wrap.ts'

/** One thing that was looked at. */
export interface Finding {
  readonly check: string
  readonly status: 'ok' | 'warning' | 'problem'
  readonly message: string
  /** What to do about it. */
  readonly remedy?: string
}

/** `doctor`: what is wrong with machine, directory, versions, ports. */
export function addDoctor(program: Command, run: Run): void {
  program
    .command('doctor')
    .summary('check machine, data directory, app, ports, and say what to do')
    .description(
      'Checks machine, versions, data directory, app definition and port, and says what to do.',
    )
    .option('--deep', 'read every record of the log too')
    .action(run<[LogCheckOptions]>(doctor))
}

async function doctor(context: CommandContext, options: LogCheckOptions): Promise<void> {
  const findings: Finding[] = []
  for (const check of [
    checkVersions,
    checkMachine,
    checkDirectory,
    checkLog,
    checkDatabase,
    checkDisk,
    checkApp,
    checkPort,
  ]) {
    try {
      findings.push(...(await check(context, options)))
    } catch (error) {
      const remedy = isError(error) ? error.remedy : 'Run it again with --verbose.'
      const name = check.name.replace('check', '').toLowerCase()
      findings.push({ check: name, status: 'problem', message: messageOf(error), remedy })
    }
  }
  const problems = findings.filter(({ status }) => status === 'problem').length
  const warnings = findings.filter(({ status }) => status === 'warning').length
  if (problems > 0) context.exitWith(EXIT_REFUSED)
  const width = Math.min(context.output.terminal.columns, 100)
  const marks = { ok: 'ok      ', warning: 'warning ', problem: 'PROBLEM ' }
  const lines = findings.flatMap(({ check, status, message, remedy }) => [
    wrap(`${marks[status]} ${check.padEnd(10)} ${message}`, width, ' '.repeat(20)),
    ...(remedy === undefined ? [] : [wrap(`${' '.repeat(20)}${remedy}`, width, ' '.repeat(20))]),
  ])
  const summary =
    problems + warnings === 0
      ? 'All is well.'
      : `${numbered(problems, 'problem')}, ${numbered(warnings, 'warning')}.`
  context.output.result({ problems, warnings, findings }, [...lines, '', summary].join('\n'))
}

function numbered(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

const NODE_NEEDED = 24

async function checkVersions(): Promise<Finding[]> {
  const major = Number(process.versions.node.split('.')[0])
  const message = `Millrace ${VERSION}, Node ${process.versions.node}, ${process.platform} ${process.arch}`
  if (major >= NODE_NEEDED) return [{ check: 'versions', status: 'ok', message }]
  const remedy = `Install Node ${NODE_NEEDED} or newer.`
  return [{ check: 'versions', status: 'problem', message, remedy }]
}

const MEMORY_NEEDED = 512e6

async function checkMachine(): Promise<Finding[]> {
  const cores = availableParallelism()
  const limit = process.constrainedMemory()
  const total = limit > 0 && limit < totalmem() ? limit : totalmem()
  const message = `${cores} ${cores === 1 ? 'core' : 'cores'}, ${bytes(total)} of memory, ${bytes(freemem())} free`
  if (total >= MEMORY_NEEDED) return [{ check: 'machine', status: 'ok', message }]
  const remedy = 'Expect a few hundred thousand events at most; give it 1 GB.'
  return [{ check: 'machine', status: 'warning', message, remedy }]
}

async function checkDirectory(context: CommandContext): Promise<Finding[]> {
  const { data, cwd } = context
  const check = 'data'
  if (data === 'memory') return [{ check, status: 'ok', message: 'kept in memory only' }]
  const shown = shortPath(cwd, data)
  const info = await stat(data).catch(() => undefined)
  if (info === undefined) {
    const parent = await nearest(data)
    if (await isWritable(parent)) {
      return [
        { check, status: 'ok', message: `${shown} does not exist yet; the first start makes it` },
      ]
    }
    const remedy = `Allow writing there, or choose another directory with --data.`
    return [{ check, status: 'problem', message: `${parent} may not be written`, remedy }]
  }
  if (!info.isDirectory()) {
    const remedy = 'Choose another directory with --data.'
    return [{ check, status: 'problem', message: `${shown} is a file`, remedy }]
  }
  if (!(await isWritable(data))) {
    const remedy = 'Run as the user who owns it, or change its owner.'
    return [{ check, status: 'problem', message: `${shown} may not be written`, remedy }]
  }
  const identity = await readIdentity(data)
  const findings: Finding[] = []
  if (identity === undefined) {
    findings.push({ check, status: 'ok', message: `${shown} holds no app yet` })
  } else {
    const kind = identity.builtIn === undefined ? '' : ' (built in)'
    const message = `${shown} holds the app ${identity.app}${kind}, ${identity.partitions} partitions`
    findings.push({ check, status: 'ok', message })
  }
  const owner = ownerOf(data)
  if (owner !== undefined) {
    const where = owner.url === undefined ? 'without an address' : `answering at ${owner.url}`
    const message = `process ${owner.pid}, ${owner.command}, ${where}`
    findings.push({ check: 'owner', status: 'ok', message })
  }
  for (const folder of await unfinishedImports(openNodeDisk(data))) {
    findings.push({
      check: 'import',
      status: 'warning',
      message: `${join(shown, folder)} is left of an import that was interrupted`,
      remedy: 'Run the same import again: it goes on there. Or remove the folder.',
    })
  }
  return findings
}

async function nearest(path: string): Promise<string> {
  const parent = dirname(path)
  if (parent === path) return parent
  return (await stat(parent).catch(() => undefined)) === undefined ? nearest(parent) : parent
}

async function isWritable(path: string): Promise<boolean> {
  return access(path, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
}

const FREE_NEEDED = 1e9
const SYNCS = 20
const SYNC_SLOW_MS = 25

async function checkDisk(context: CommandContext): Promise<Finding[]> {
  const { data, clock } = context
  if (data === 'memory') return []
  const place = (await stat(data).catch(() => undefined)) === undefined ? await nearest(data) : data
  const { bavail, bsize } = await statfs(place)
  const free = bavail * bsize
  const findings: Finding[] = [
    free >= FREE_NEEDED
      ? { check: 'disk', status: 'ok', message: `${bytes(free)} free` }
      : {
          check: 'disk',
          status: 'warning',
          message: `${bytes(free)} free`,
          remedy: 'A million events take a few hundred megabytes: free some space.',
        },
  ]
  if (!(await isWritable(place))) return findings
  try {
    findings.push(await timeSync(place, clock))
  } catch (error) {
    const remedy = 'Free some space, or repair the volume: no event can be taken.'
    findings.push({ check: 'disk', status: 'problem', message: messageOf(error), remedy })
  }
  return findings
}

async function timeSync(place: string, clock: CommandContext['clock']): Promise<Finding> {
  const folder = await mkdtemp(join(place, '.doctor-'))
  try {
    const file = await open(join(folder, 'sync'), 'w')
    const times: number[] = []
    try {
      for (let index = 0; index < SYNCS; index++) {
        const startMs = clock.monotonicMs()
        await file.write(Buffer.alloc(4096, index))
        await file.datasync()
        times.push(clock.monotonicMs() - startMs)
      }
    } finally {
      await file.close()
    }
    const medianMs = times.sort((a, b) => a - b)[SYNCS >> 1] as number
    const message = `a durable write takes ${medianMs.toFixed(1)} ms`
    if (medianMs <= SYNC_SLOW_MS) return { check: 'disk', status: 'ok', message }
    const remedy = 'Single events will wait for it; batches and a faster disk help.'
    return { check: 'disk', status: 'warning', message, remedy }
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function checkApp(context: CommandContext): Promise<Finding[]> {
  const check = 'app'
  const file = findAppFile(context.cwd, context.options.app)
  const remembered = await rememberedApp(context)
  if (file === undefined) {
    if (remembered !== undefined) {
      return [{ check, status: 'ok', message: `${remembered.name}, built in` }]
    }
    const message = 'no app.ts here'
    const remedy = 'Begin with: millrace init; or import data, which brings a built-in app.'
    return [{ check, status: 'warning', message, remedy }]
  }
  const app = await loadApp(file)
  const shown = shortPath(context.cwd, file)
  const identity = context.data === 'memory' ? undefined : await readIdentity(context.data)
  if (identity === undefined || identity.app === app.name) {
    const counts = `${app.options.events.length} events, ${app.options.items?.length ?? 0} item kinds`
    return [{ check, status: 'ok', message: `${app.name} in ${shown}: ${counts}` }]
  }
  return [
    {
      check,
      status: identity.builtIn === undefined ? 'problem' : 'warning',
      message: `${shown} defines ${app.name}, but the data directory belongs to ${identity.app}`,
      remedy: 'Name another directory with --data, or the definition of that app with --app.',
    },
  ]
}

async function checkPort(context: CommandContext): Promise<Finding[]> {
  const check = 'port'
  const { number } = context.port
  if (number === 0) return [{ check, status: 'ok', message: 'any free one' }]
  if (await isFree(number)) return [{ check, status: 'ok', message: `${number} is free` }]
  const isOurs = await fetch(`http://127.0.0.1:${number}/healthz`, {
    signal: AbortSignal.timeout(2000),
  })
    .then(async answer => ((await answer.json()) as { status?: unknown }).status === 'alive')
    .catch(() => false)
  if (isOurs) {
    const owner = context.data === 'memory' ? undefined : ownerOf(context.data)
    if (owner?.url !== undefined && new URL(owner.url).port === String(number)) {
      return [{ check, status: 'ok', message: `${number}: the owner of the data answers there` }]
    }
    const message = `${number}: a Millrace answers there, not the owner of this data directory`
    const remedy = 'Fine while you talk to it with --port; to start this one choose another port.'
    return [{ check, status: 'warning', message, remedy }]
  }
  const remedy = 'Stop that program, or choose another port with --port or PORT.'
  return [{ check, status: 'problem', message: `${number} is taken by another program`, remedy }]
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
