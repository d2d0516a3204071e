import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError, type Clock } from '@millrace/core'
import { piecesInTime } from './line-pieces.ts'

/** A clock that a test moves; the pieces arrive `atMs`. */
function arriving(plan: readonly (readonly [waitMs: number, text: string])[]): {
  clock: Clock
  pieces: AsyncIterator<Buffer>
} {
  let nowMs = 0
  const tasks: { atMs: number; task: () => void }[] = []
  const clock = {
    monotonicMs: () => nowMs,
    after(delayMs: number, task: () => void) {
      const entry = { atMs: nowMs + delayMs, task }
      tasks.push(entry)
      return { cancel: () => void tasks.splice(tasks.indexOf(entry) >>> 0, 1) }
    },
  } as unknown as Clock
  async function* pieces(): AsyncGenerator<Buffer> {
    for (const [waitMs, text] of plan) {
      await new Promise(resolve => setImmediate(resolve))
      nowMs += waitMs
      for (const { atMs, task } of [...tasks]) if (atMs <= nowMs) task()
      yield Buffer.from(text)
    }
  }
  return { clock, pieces: pieces() }
}

async function read(plan: Parameters<typeof arriving>[0]): Promise<string> {
  const { clock, pieces } = arriving(plan)
  let text = ''
  for await (const piece of piecesInTime(pieces, { clock, limitMs: 100 })) text += String(piece)
  return text
}

test('lines may come for ever', async () => {
  const plan = Array.from({ length: 50 }, () => [60, 'line\n'] as const)
  assert.equal(await read(plan), 'line\n'.repeat(50))
})

test('a line may not take longer than the limit, whether its bytes drip or stay away', async () => {
  const isLate = (error: unknown): boolean => isError(error, 'REQUEST_TIMEOUT')
  await assert.rejects(read([[10, 'a\n'], [101, 'b\n']]), isLate) // prettier-ignore
  await assert.rejects(read([[10, 'a\n'], ...Array.from({ length: 9 }, () => [20, 'x'] as const)]), isLate) // prettier-ignore
  assert.equal(await read([[40, 'x'], [40, 'y\n'], [90, 'z']]), 'xy\nz') // prettier-ignore
})

test('what breaks the body reaches the reader', async () => {
  const { clock } = arriving([])
  const broken: AsyncIterator<Buffer> = { next: () => Promise.reject(new Error('cut')) }
  await assert.rejects(async () => {
    for await (const _ of piecesInTime(broken, { clock, limitMs: 100 })) continue
  }, /cut/)
})
