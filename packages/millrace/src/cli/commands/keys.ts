import { durationMs, isError, type Duration } from '@millrace/core'
import { Argument, type Command } from 'commander'
import { KEY_SCOPES } from '../../http/security/key-text.ts'
import { ask, type ApiRequest } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { table } from '../output.ts'
import type { Run } from '../run-command.ts'
import { readCount } from './log.ts'

interface KeyJson {
  readonly id: string
  readonly scope: string
  readonly name: string
  readonly origins: readonly string[]
  readonly requestsPerSecond: number | null
  readonly createdMs: number
  readonly revokedMs: number | null
  readonly usedMs: number | null
}

interface MadeKeyJson extends KeyJson {
  readonly key: string
}

/** `keys`: who may call the server. */
export function addKeys(program: Command, run: Run): void {
  const group = program
    .command('keys')
    .summary('who may call the server: create, list, rotate, revoke')
    .description(
      'Keys for those who call the server. Until the first is made, loopback alone is served, and ' +
        'everybody there may do everything. Commands on this machine need no key.',
    )
  group
    .command('create')
    .summary('make a key, and show it this once')
    .description(
      'Makes a key. public: sends events from pages; server: reads and writes the product; ' +
        'admin: everything, the log and the keys included.',
    )
    .addArgument(new Argument('<scope>', 'what it may do').choices(KEY_SCOPES))
    .option('--name <text>', 'who uses it; default: its scope')
    .option(
      '--origin <origin...>',
      'pages that may use a public key, such as https://shop.example; * for any caller',
    )
    .option('--rate <number>', 'requests a second; default: 1000 for a public key, else no limit')
    .option('--burst <number>', 'requests at once; default: twice the rate')
    .action(run<[string, CreateOptions]>(create))
  group
    .command('list')
    .summary('all keys, with their last use')
    .description('Shows all keys, without their secrets, and when each was last used.')
    .action(run<[object]>(list))
  group
    .command('rotate')
    .summary('give a key a new secret, and show it this once')
    .description('Gives a key a new secret; the one before it goes on for a while.')
    .argument('<id>', 'the key, as `keys list` shows it')
    .option('--grace <duration>', 'how long the secret before it goes on', '1d')
    .action(run<[string, { grace: string }]>(rotate))
  group
    .command('revoke')
    .summary('end a key at once')
    .description('Ends a key at once, with all its secrets.')
    .argument('<id>', 'the key, as `keys list` shows it')
    .action(run<[string]>(revoke))
}

interface CreateOptions {
  readonly name?: string
  readonly origin?: readonly string[]
  readonly rate?: string
  readonly burst?: string
}

async function create(
  context: CommandContext,
  scope: string,
  { name = scope, origin, rate, burst }: CreateOptions,
): Promise<void> {
  const body = {
    scope,
    name,
    ...(origin === undefined ? {} : { origins: origin }),
    ...(rate === undefined ? {} : { requestsPerSecond: readCount('--rate', rate) }),
    ...(burst === undefined ? {} : { burst: readCount('--burst', burst) }),
  }
  const made = (await askKept(context, { method: 'POST', path: '/v1/keys', body })) as MadeKeyJson
  context.output.result(made, shownOnce(made))
}

async function list(context: CommandContext): Promise<void> {
  const body = await askKept(context, { method: 'GET', path: '/v1/keys' })
  const { keys } = body as { keys: readonly KeyJson[] }
  const rows = keys.map(key => [
    key.id,
    key.scope,
    key.revokedMs === null ? 'valid' : `revoked ${day(key.revokedMs)}`,
    day(key.createdMs),
    key.usedMs === null ? 'never' : day(key.usedMs),
    key.requestsPerSecond === null ? '-' : `${key.requestsPerSecond}/s`,
    key.origins.length === 0 ? key.name : `${key.name} (${key.origins.join(', ')})`,
  ])
  const heading = ['id', 'scope', 'state', 'made', 'last used', 'rate', 'name']
  const text =
    keys.length === 0
      ? 'No keys: loopback alone is served, and everybody there may do everything.'
      : table([heading, ...rows], context.output.terminal.columns)
  context.output.result({ keys }, text)
}

async function rotate(
  context: CommandContext,
  id: string,
  { grace }: { grace: string },
): Promise<void> {
  const body = { graceSeconds: Math.ceil(graceMs(grace) / 1000) }
  const path = `/v1/keys/${encodeURIComponent(id)}/rotate`
  const made = (await askKept(context, { method: 'POST', path, body })) as MadeKeyJson
  context.output.result(made, `${shownOnce(made)}\nThe secret before it ends in ${grace}.`)
}

async function revoke(context: CommandContext, id: string): Promise<void> {
  const path = `/v1/keys/${encodeURIComponent(id)}`
  const key = (await askKept(context, { method: 'DELETE', path })) as KeyJson
  context.output.result(key, `The key ${key.id} (${key.name}) is refused from now on.`)
}

async function askKept(context: CommandContext, request: ApiRequest): Promise<unknown> {
  if (context.data === 'memory' && !context.port.isSet) {
    throw cliErrors.create('CLI_USAGE', {
      reason: 'A key that is made in memory is gone when the command ends.',
      next: 'Name a data directory with --data.',
    })
  }
  return await ask(context, request)
}

function shownOnce({ key, id, scope, name }: MadeKeyJson): string {
  return `${key}\n\nThis is the only time that it is shown. Key ${id}, ${scope}, ${name}.`
}

function graceMs(text: string): number {
  try {
    return text === '0' ? 0 : durationMs(text as Duration)
  } catch (error) {
    if (!isError(error, 'DURATION_INVALID')) throw error
    throw cliErrors.create('CLI_USAGE', { reason: error.message, next: error.remedy })
  }
}

function day(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}
