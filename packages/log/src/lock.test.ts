import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { identityOf, livingOwner, lockDirectory, readOwner } from './lock.ts'

function withDirectory(run: (directory: string) => Promise<void> | void): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-lock-'))
    try {
      await run(directory)
    } finally {
      rmSync(directory, { recursive: true })
    }
  }
}

test(
  'names its owner and keeps others out until it is released',
  withDirectory(directory => {
    const lock = lockDirectory(join(directory, 'new'))
    const inside = join(directory, 'new')
    lock.setAddress('127.0.0.1:7777')
    assert.equal(readOwner(inside)?.address, '127.0.0.1:7777')
    assert.equal(livingOwner(inside)?.pid, process.pid)
    assert.throws(
      () => lockDirectory(inside),
      error => isError(error, 'DIRECTORY_LOCKED') && error.details['address'] === '127.0.0.1:7777',
    )
    lock.release()
    assert.deepEqual(readdirSync(inside), [])
    lockDirectory(inside).release()
  }),
)

test(
  'makes the folders that are missing, and refuses where none can be made',
  withDirectory(directory => {
    const deep = join(directory, 'a/b/c')
    lockDirectory(deep).release()
    assert.equal(existsSync(deep), true)
    const file = join(directory, 'file')
    writeFileSync(file, '')
    assert.equal(readOwner(file), undefined)
    const below = join(file, 'below')
    assert.throws(() => lockDirectory(below), error => isError(error, 'DISK_FAILED')) // prettier-ignore
    // Node's recursive mkdir would not come back from here.
    if (!existsSync('/proc/self')) return
    assert.throws(() => lockDirectory('/proc/millrace/x'), error => isError(error, 'DISK_FAILED')) // prettier-ignore
  }),
)

test(
  'takes over the lock of a process that was killed',
  withDirectory(async directory => {
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `import { lockDirectory } from ${JSON.stringify(import.meta.resolve('./lock.ts'))}
       lockDirectory(${JSON.stringify(directory)})
       console.log('locked')
       setInterval(() => {}, 1000)`,
    ])
    await once(child.stdout, 'data')
    assert.equal(livingOwner(directory)?.pid, child.pid)
    assert.throws(() => lockDirectory(directory), error => isError(error, 'DIRECTORY_LOCKED')) // prettier-ignore
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(livingOwner(directory), undefined)
    lockDirectory(directory).release()
  }),
)

test(
  'is not fooled by a process number that was given out again',
  withDirectory(directory => {
    const { start } = identityOf(process.pid)
    const stale = { pid: process.pid, start: 'an earlier start', address: '' }
    writeFileSync(join(directory, 'lock'), JSON.stringify(stale))
    if (start === undefined) return
    assert.equal(livingOwner(directory), undefined)
    const lock = lockDirectory(directory)
    assert.equal(readOwner(directory)?.start, start)
    lock.release()
  }),
)

test(
  'takes an empty lock file for one whose owner died, and leaves the lock of another alone',
  withDirectory(directory => {
    writeFileSync(join(directory, 'lock'), '')
    const lock = lockDirectory(directory)
    writeFileSync(join(directory, 'lock'), JSON.stringify({ pid: 1, start: 'x', address: '' }))
    lock.release()
    assert.equal(existsSync(join(directory, 'lock')), true)
    assert.equal(identityOf(2 ** 22 + 1).isAlive, false)
  }),
)
