/**
 * The Disk port on the file system of the machine.
 *
 * Promise: a write resolves when every byte was taken, a sync when the medium has them
 * (fdatasync); every failure is a registered DISK_* error that names the operation and the path.
 * Callback calls on plain descriptors are used because they cost about half of a FileHandle call;
 * the handle's safety is kept here: calls after `close` are refused, and `close` waits for calls
 * in flight, so that a descriptor is never used after the kernel gave its number to another file.
 */
import * as fs from 'node:fs'
import { resolve } from 'node:path'
import { diskErrors, type Disk, type DiskFile } from '@millrace/core'

const FLAGS = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR | fs.constants.O_CREAT,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
}

/**
 * A Disk under the directory `root`, which need not exist yet: `makeDirectory('')` creates it.
 * Paths that are absolute, or that leave the root by `..`, are refused with DISK_FAILED. Symbolic
 * links inside the root are followed: whoever can write there owns the data anyway.
 */
export function openNodeDisk(root: string): Disk {
  const base = resolve(root)
  const at = (operation: string, path: string): string => locate(base, operation, path)
  return {
    async open(path, mode) {
      const full = at('open', path)
      const fd = await call<number>('open', path, done => fs.open(full, FLAGS[mode], 0o644, done))
      return new NodeFile(fd, path)
    },
    async list(directory) {
      const full = at('list', directory)
      try {
        const names = await call<string[]>('list', directory, done => fs.readdir(full, done))
        return names.sort()
      } catch (error) {
        if (isMissing(error)) return []
        throw error
      }
    },
    async makeDirectory(directory) {
      const full = at('makeDirectory', directory)
      await run('makeDirectory', directory, done =>
        fs.mkdir(full, { recursive: true }, error => done(error)),
      )
    },
    async rename(from, to) {
      const [fullFrom, fullTo] = [at('rename', from), at('rename', to)]
      await run('rename', from, done => fs.rename(fullFrom, fullTo, done))
    },
    async remove(path) {
      const full = at('remove', path)
      if (full === base) throw refused('remove', path, 'the root itself is not removed')
      await run('remove', path, done => fs.rm(full, { recursive: true, force: true }, done))
    },
    async syncDirectory(directory) {
      const full = at('syncDirectory', directory)
      const fd = await call<number>('syncDirectory', directory, done =>
        fs.open(full, fs.constants.O_RDONLY, done),
      )
      try {
        await run('syncDirectory', directory, done => fs.fsync(fd, done))
      } finally {
        await run('syncDirectory', directory, done => fs.close(fd, done))
      }
    },
    async sizeOf(path) {
      const full = at('sizeOf', path)
      try {
        return (await call<fs.Stats>('sizeOf', path, done => fs.stat(full, done))).size
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },
    async freeBytes() {
      const facts = await call<fs.StatsFs>('freeBytes', '', done => fs.statfs(base, done))
      return facts.bavail * facts.bsize
    },
  }
}

class NodeFile implements DiskFile {
  readonly #fd: number
  readonly #path: string
  /** The same file, opened so that a write returns when the medium has it; NONE where that cannot be had. */
  #through: number | undefined
  #inFlight = 0
  #isClosed = false
  #onIdle: (() => void) | undefined

  constructor(fd: number, path: string) {
    this.#fd = fd
    this.#path = path
  }

  read(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#call<number>('read', done =>
      fs.read(this.#fd, target, offset, length, position, done),
    )
  }

  write(source: Uint8Array, offset: number, length: number, position: number): Promise<void> {
    return this.#write(this.#fd, source, offset, length, position)
  }

  async writeThrough(
    source: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<void> {
    if (this.#through === undefined && !this.#isClosed) this.#through = openThrough(this.#fd)
    if (this.#through !== undefined && this.#through !== NONE) {
      return this.#write(this.#through, source, offset, length, position)
    }
    await this.#write(this.#fd, source, offset, length, position)
    await this.sync()
  }

  sync(): Promise<void> {
    return this.#call<void>('sync', done => fs.fdatasync(this.#fd, error => done(error, undefined)))
  }

  truncate(size: number): Promise<void> {
    return this.#call<void>('truncate', done =>
      fs.ftruncate(this.#fd, size, error => done(error, undefined)),
    )
  }

  async size(): Promise<number> {
    return (await this.#call<fs.Stats>('size', done => fs.fstat(this.#fd, done))).size
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#inFlight > 0) await new Promise<void>(idle => (this.#onIdle = idle))
    const through = this.#through ?? NONE
    if (through !== NONE) await run('close', this.#path, done => fs.close(through, done))
    await run('close', this.#path, done => fs.close(this.#fd, done))
  }

  #write(
    fd: number,
    source: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<void> {
    return this.#call<void>('write', done => {
      // The kernel may take only a part, for example before the disk is full: ask again for the rest.
      const next = (written: number): void => {
        if (written === length) return done(null, undefined)
        const rest = length - written
        fs.write(fd, source, offset + written, rest, position + written, (error, count) => {
          if (error !== null) return done(error)
          if (count === 0) return done(new Error('the volume took no bytes'))
          next(written + count)
        })
      }
      next(0)
    })
  }

  #call<T>(operation: string, start: (done: Done<T>) => void): Promise<T> {
    if (this.#isClosed) return Promise.reject(refused(operation, this.#path, 'the file is closed'))
    this.#inFlight += 1
    return new Promise<T>((fulfil, reject) => {
      const done: Done<T> = (error, value) => {
        this.#inFlight -= 1
        if (this.#inFlight === 0) this.#onIdle?.()
        if (error === null) fulfil(value as T)
        else reject(translate(operation, this.#path, error))
      }
      try {
        start(done)
      } catch (error) {
        done(error as Error)
      }
    })
  }
}

const NONE = -1

/**
 * Only on Linux, where a write with O_DSYNC is one with fdatasync after it; elsewhere it may leave
 * the bytes in the cache of the drive. Through the descriptor, because the file may have another
 * name by now. Waited for: it touches no disk, and happens once for each file.
 */
function openThrough(fd: number): number {
  if (process.platform !== 'linux') return NONE
  try {
    return fs.openSync(`/proc/self/fd/${fd}`, fs.constants.O_WRONLY | fs.constants.O_DSYNC)
  } catch {
    return NONE
  }
}

type Done<T> = (error: Error | null, value?: T) => void

function call<T>(operation: string, path: string, start: (done: Done<T>) => void): Promise<T> {
  return new Promise<T>((fulfil, reject) => {
    start((error, value) => {
      if (error === null) fulfil(value as T)
      else reject(translate(operation, path, error))
    })
  })
}

function run(
  operation: string,
  path: string,
  start: (done: (error: Error | null) => void) => void,
): Promise<void> {
  return call<void>(operation, path, start)
}

function locate(base: string, operation: string, path: string): string {
  if (path === '') return base
  const parts = path.split('/')
  if (parts.some(part => part === '' || part === '.' || part === '..')) {
    throw refused(operation, path, 'it is not a plain relative path under the root')
  }
  if (/[\\\0]/.test(path)) throw refused(operation, path, 'it holds a backslash or a zero byte')
  return `${base}/${path}`
}

function refused(operation: string, path: string, reason: string): Error {
  return diskErrors.create('DISK_FAILED', { operation, path, reason })
}

function isMissing(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'DISK_NOT_FOUND'
}

function translate(operation: string, path: string, error: NodeJS.ErrnoException): Error {
  switch (error.code) {
    case 'ENOENT':
      return diskErrors.create('DISK_NOT_FOUND', { path, operation }, error)
    case 'EEXIST':
      return diskErrors.create('DISK_EXISTS', { path, operation }, error)
    case 'ENOSPC':
    case 'EDQUOT':
      return diskErrors.create('DISK_FULL', { path, operation }, error)
    default:
      return diskErrors.create(
        'DISK_FAILED',
        { operation, path, reason: error.code ?? error.message },
        error,
      )
  }
}
