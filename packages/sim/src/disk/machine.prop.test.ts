/** The simulated disk answers as the file system of the machine does, under random commands. */
import assert from 'node:assert/strict'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { createSeededRandom, isError, type Disk } from '@millrace/core'
import { createSimClock, createSimDisk } from '../index.ts'

const CODES: Readonly<Record<string, string>> = { ENOENT: 'DISK_NOT_FOUND', EEXIST: 'DISK_EXISTS' }
const FLAGS = { read: 'r', write: 'a+', create: 'wx+' } as const

const name = fc.constantFrom('a', 'b', 'd', 'd/a', 'd/b', 'd/e', 'd/e/a', 'x/y')
const command = fc.oneof(
  fc.record({
    kind: fc.constant('put' as const),
    path: name,
    at: fc.nat(9_000),
    size: fc.nat(900),
  }),
  fc.record({ kind: fc.constant('create' as const), path: name }),
  fc.record({ kind: fc.constant('read' as const), path: name, at: fc.nat(9_000) }),
  fc.record({ kind: fc.constant('truncate' as const), path: name, size: fc.nat(9_000) }),
  fc.record({ kind: fc.constant('rename' as const), path: name, to: name }),
  fc.record({ kind: fc.constantFrom('remove' as const, 'list' as const), path: name }),
  fc.record({ kind: fc.constantFrom('makeDirectory' as const, 'sizeOf' as const), path: name }),
)
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never

test('random commands have the same results as on the machine', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 30 }), async commands => {
      const root = await fs.mkdtemp(join(tmpdir(), 'millrace-sim-'))
      const clock = createSimClock({ seed: 1 })
      const disk = createSimDisk({ clock, random: createSeededRandom(1) })
      try {
        for (const each of commands) {
          const simulated = await clock.drive(answerOf(() => onDisk(disk, each)))
          const real = await answerOf(() => onMachine(root, each))
          assert.deepEqual(simulated, real, JSON.stringify(each))
        }
      } finally {
        await fs.rm(root, { recursive: true })
      }
    }),
    { numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 200), seed: 20_260_101 },
  )
})

/** The result, or the code of the error that a Disk would reject with. */
async function answerOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    if (isError(error)) return error.code
    return CODES[(error as { code?: string }).code ?? ''] ?? 'DISK_FAILED'
  }
}

async function onDisk(disk: Disk, { path, ...each }: Command): Promise<unknown> {
  switch (each.kind) {
    case 'put':
    case 'create':
    case 'read':
    case 'truncate': {
      const mode = each.kind === 'put' || each.kind === 'truncate' ? 'write' : each.kind
      const file = await disk.open(path, mode)
      if (each.kind === 'put') await file.write(filled(each.size), 0, each.size, each.at)
      if (each.kind === 'truncate') await file.truncate(each.size)
      const target = new Uint8Array(600)
      const count = each.kind === 'read' ? await file.read(target, 10, 590, each.at) : 0
      const size = await file.size()
      await file.close()
      return { count, target, size }
    }
    case 'rename':
      return await disk.rename(path, each.to)
    case 'sizeOf': {
      // The size of a directory has no meaning; that there is one has.
      const size = await disk.sizeOf(path)
      return size === undefined || size >= 4_096 ? size !== undefined : size
    }
    case 'list':
    case 'remove':
    case 'makeDirectory':
      return await disk[each.kind](path)
  }
}

async function onMachine(root: string, { path, ...each }: Command): Promise<unknown> {
  const full = join(root, path)
  switch (each.kind) {
    case 'put':
    case 'create':
    case 'read':
    case 'truncate': {
      const isWrite = each.kind === 'put' || each.kind === 'truncate'
      if (isWrite) await (await fs.open(full, FLAGS.write)).close()
      const file = await fs.open(full, isWrite ? 'r+' : each.kind === 'read' ? 'r' : FLAGS.create)
      try {
        if ((await file.stat()).isDirectory()) return 'DISK_FAILED'
        if (each.kind === 'put') await file.write(filled(each.size), 0, each.size, each.at)
        if (each.kind === 'truncate') await file.truncate(each.size)
        const target = new Uint8Array(600)
        const count =
          each.kind === 'read' ? (await file.read(target, 10, 590, each.at)).bytesRead : 0
        return { count, target, size: (await file.stat()).size }
      } finally {
        await file.close()
      }
    }
    case 'rename':
      return await fs.rename(full, join(root, each.to))
    case 'sizeOf': {
      const size = await fs.stat(full).then(
        stats => stats.size,
        (error: { code?: string }) => {
          if (error.code === 'ENOENT') return undefined
          throw error
        },
      )
      return size === undefined || size >= 4_096 ? size !== undefined : size
    }
    case 'list':
      return await fs.readdir(full).then(
        names => names.sort(),
        (error: { code?: string }) => {
          if (error.code === 'ENOENT') return []
          throw error
        },
      )
    case 'remove':
      return await fs.rm(full, { recursive: true, force: true })
    case 'makeDirectory':
      await fs.mkdir(full, { recursive: true })
      return undefined
  }
}

function filled(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => (at % 255) + 1)
}
