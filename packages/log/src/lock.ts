/**
 * Who owns a data directory. One process at a time: two writers would destroy each other's journal.
 *
 * The lock is a file that names its owner by process number and by the time that the process was
 * started, so that a number that was given out again fools nobody. The lock of a dead process is
 * taken over. Taking it is atomic: the file is made under a name of its own and linked to the
 * name of the lock, which fails when that exists.
 *
 * The lock is about processes of one machine; it works on the real file system and not through the
 * Disk port. On a volume shared by machines it does not protect.
 */
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { logErrors } from './errors.ts'

const LOCK_NAME = 'lock'
const ATTEMPTS_MAX = 8

/** What a lock file says. */
export interface LockOwner {
  readonly pid: number
  /** Start of the process: clock ticks since boot and the boot it belongs to; undefined where the system does not tell. */
  readonly start: string | undefined
  /** Where the owner listens, `host:port/path` or a whole `https:` address; empty until it does. */
  readonly address: string
}

/** A directory that this process owns. */
export interface DirectoryLock {
  /** Says where the owner listens, for commands that find the lock. */
  setAddress(address: string): void
  /** Gives the directory back. */
  release(): void
}

/** The identity of a process: how the lock tells it from a later one with its number. */
export type ProcessIdentity = (pid: number) => { isAlive: boolean; start: string | undefined }

/**
 * Takes the lock of a directory, which is made when it is missing. Refuses a directory that a
 * living process owns (DIRECTORY_LOCKED with its number and address).
 */
export function lockDirectory(
  directory: string,
  identify: ProcessIdentity = identityOf,
): DirectoryLock {
  makeDirectory(directory)
  const path = join(directory, LOCK_NAME)
  const { pid } = process
  const own = { pid, start: identify(pid).start, address: '' }
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (putLock(path, own)) return createLock(path, own)
    const owner = readOwner(directory)
    if (owner !== undefined && isOwnerAlive(owner, identify)) throw lockedBy(directory, owner)
    removeStale(path, owner)
  }
  throw lockedBy(directory, readOwner(directory) ?? { pid: 0, start: undefined, address: '' })
}

/**
 * Makes a directory and those above it; throws DISK_FAILED. Step by step, because Node's recursive
 * mkdir never returns where a file system says ENOENT of a folder that exists, as /proc does.
 */
export function makeDirectory(directory: string): void {
  if (fs.existsSync(directory)) return
  const parent = dirname(directory)
  if (parent !== directory) makeDirectory(parent)
  try {
    fs.mkdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw failed('make the directory', directory, error)
    }
  }
}

/** Who owns a directory, whether it lives or not; undefined when nobody does. */
export function readOwner(directory: string): LockOwner | undefined {
  let text: string
  try {
    text = fs.readFileSync(join(directory, LOCK_NAME), 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw failed('read the lock', directory, error)
  }
  return parseOwner(text)
}

/** The owner of a directory if it is a living process. */
export function livingOwner(
  directory: string,
  identify: ProcessIdentity = identityOf,
): LockOwner | undefined {
  const owner = readOwner(directory)
  return owner !== undefined && isOwnerAlive(owner, identify) ? owner : undefined
}

/** Whether a process lives, and since when; from /proc where there is one. */
export function identityOf(pid: number): { isAlive: boolean; start: string | undefined } {
  let isAlive = true
  try {
    process.kill(pid, 0)
  } catch (error) {
    // Any other refusal means that the process is there and belongs to someone else.
    isAlive = (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
  return { isAlive, start: isAlive ? startOf(pid) : undefined }
}

function startOf(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    // The name of the command, in parentheses, may hold anything; field 22 is counted behind it.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return ticks === undefined ? undefined : `${boot}/${ticks}`
  } catch {
    return undefined
  }
}

const COMMAND_LENGTH_MAX = 100

/** The command line of a process, cut, so that a person recognises it; from /proc where there is one. */
export function commandOf(pid: number): string {
  let words = ''
  try {
    words = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    // Another system, or the process has ended.
  }
  if (words === '') return 'whose command is not known'
  const isLong = words.length > COMMAND_LENGTH_MAX
  return isLong ? `${words.slice(0, COMMAND_LENGTH_MAX)}...` : words
}

function isOwnerAlive(owner: LockOwner, identify: ProcessIdentity): boolean {
  const { isAlive, start } = identify(owner.pid)
  if (!isAlive) return false
  return owner.start === undefined || start === undefined || owner.start === start
}

function createLock(path: string, own: LockOwner): DirectoryLock {
  let current = own
  return {
    setAddress(address) {
      current = { ...current, address }
      const aside = `${path}.${own.pid}`
      try {
        fs.writeFileSync(aside, format(current))
        fs.renameSync(aside, path)
      } catch (error) {
        throw failed('write the lock', path, error)
      }
    },
    release() {
      const found = parseOwner(readText(path))
      if (found?.pid === own.pid && found.start === own.start) fs.rmSync(path, { force: true })
    },
  }
}

/** True when the lock is ours now, false when there is one. */
function putLock(path: string, own: LockOwner): boolean {
  const aside = `${path}.${own.pid}`
  try {
    fs.writeFileSync(aside, format(own))
    fs.linkSync(aside, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw failed('write the lock', path, error)
  } finally {
    fs.rmSync(aside, { force: true })
  }
}

/**
 * Moves a stale lock aside under a name that only this process uses, and removes it if it is still
 * the one that was judged: another process may have replaced it meanwhile, and then gets it back.
 */
function removeStale(path: string, judged: LockOwner | undefined): void {
  const aside = `${path}.${process.pid}.stale`
  try {
    fs.renameSync(path, aside)
    const moved = parseOwner(readText(aside))
    const isJudged = moved?.pid === judged?.pid && moved?.start === judged?.start
    if (!isJudged) fs.linkSync(aside, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'EEXIST') throw failed('take over the lock', path, error)
  } finally {
    fs.rmSync(aside, { force: true })
  }
}

function readText(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function parseOwner(text: string): LockOwner | undefined {
  try {
    const { pid, start, address } = JSON.parse(text) as Partial<LockOwner>
    if (typeof pid !== 'number') return undefined
    return { pid, start, address: address ?? '' }
  } catch {
    // A lock without content is one whose owner died before it was durable.
    return undefined
  }
}

function format(owner: LockOwner): string {
  return `${JSON.stringify(owner)}\n`
}

function lockedBy(directory: string, { pid, address }: LockOwner): Error {
  const where = address === '' ? 'it has not said where it answers' : `it answers at ${address}`
  const command = commandOf(pid)
  return logErrors.create('DIRECTORY_LOCKED', { directory, pid, command, address, where })
}

function failed(operation: string, path: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error)
  return logErrors.create('DISK_FAILED', { operation, path, reason }, error)
}
