import { existsSync } from 'node:fs'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { basename, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeDirectory } from '@millrace/log'
import type { Command } from 'commander'
import { VERSION } from '../../version.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { projectFiles } from '../project-files.ts'
import type { Run } from '../run-command.ts'

/** `init`: a project that runs. */
export function addInit(program: Command, run: Run): void {
  program
    .command('init')
    .summary('make a new project that runs')
    .description(
      'Writes a small project: an app definition, some events to begin with, and how to run it.',
    )
    .argument('[folder]', 'where; default: the working directory')
    .action(run<[string | undefined, object]>(init))
}

async function init(context: CommandContext, folder = '.'): Promise<void> {
  const target = resolve(context.cwd, folder)
  const name = nameOf(target)
  const files = projectFiles({
    name,
    dependency: dependencyFor(target),
    needsNode: isOwnNodeOld(context.environment),
  })
  if (existsSync(target) && !(await stat(target)).isDirectory()) {
    throw cliErrors.create('CLI_USAGE', {
      reason: `${target} is a file.`,
      next: 'Name another folder: millrace init <folder>. Nothing was changed.',
    })
  }
  const present = existsSync(target) ? await readdir(target) : []
  for (const file of Object.keys(files)) {
    if (present.includes(file)) {
      throw cliErrors.create('CLI_FOLDER_TAKEN', { folder: target, name: file })
    }
  }
  makeDirectory(target)
  for (const [file, content] of Object.entries(files)) {
    await writeFile(join(target, file), content, { flag: 'wx' })
  }
  const enter = target === context.cwd ? [] : [`cd ${folder}`]
  const next = [...enter, 'npm install', 'npm start']
  const text = [
    `A new project in ${target === context.cwd ? 'this folder' : folder}:`,
    ...Object.keys(files).map(file => `  ${file}`),
    '',
    'Try next:',
    ...next.map(line => `  ${line}`),
    'and in another terminal:',
    '  npm run seed',
    '  npx millrace recommend --surface home --person ada --explain',
  ].join('\n')
  context.output.result({ folder: target, name, files: Object.keys(files), next }, text)
}

const NODE_NEEDED = 24

/**
 * True when the user's own Node is too old for TypeScript: either it handed this command to a newer
 * one, or npx did, by putting the one of the clone first on the PATH; npm says by which it runs.
 */
function isOwnNodeOld(environment: Readonly<Record<string, string | undefined>>): boolean {
  if (environment['MILLRACE_NODE_HANDED'] !== undefined) return true
  const agent = environment['npm_config_user_agent'] ?? ''
  const major = / node\/v(\d+)\./.exec(` ${agent}`)?.[1]
  return major !== undefined && Number(major) < NODE_NEEDED
}

/** A package name from the name of the folder. */
function nameOf(target: string): string {
  const name = basename(target)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 64)
  return name === '' ? 'product' : name
}

/** The installed version, or, from a source checkout, the folder of this package. */
function dependencyFor(target: string): string {
  const folder = fileURLToPath(new URL('../../../', import.meta.url))
  const isInstalled = folder.split(sep).includes('node_modules') || !existsSync(join(folder, 'src'))
  if (isInstalled) return `^${VERSION}`
  const path = relative(target, folder).split(sep).join('/').replace(/\/$/, '')
  return `file:${path.startsWith('.') ? path : `./${path}`}`
}
