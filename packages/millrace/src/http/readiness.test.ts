/** Why a process gets no requests. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemClock } from '@millrace/core'
import { openMemoryLog } from '@millrace/log/memory'
import type { Streams } from '@millrace/streams'
import { notReady } from './operations-routes.ts'

const ready = {
  isClosing: () => false,
  log: openMemoryLog({ clock: systemClock }),
  streams: { status: () => [], loop: () => ({ stalls: 3 }) } as unknown as Streams,
}

it('names the folds of a loop that gets no further', () => {
  const withBehind = (behind: readonly string[]): readonly string[] =>
    notReady({ ...ready, streams: { ...ready.streams, loop: () => ({ stalls: 4, behind }) } })
  assert.deepEqual(notReady(ready), [])
  const woken = 'the folds are woken again and again and get no further'
  assert.deepEqual(withBehind([]), [`${woken} (none is behind)`])
  assert.deepEqual(withBehind(['view.a', 'view.b']), [`${woken} (behind: view.a, view.b)`])
})
