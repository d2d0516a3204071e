import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { isError, systemClock } from '@millrace/core'
import type { CommitRequest, EventLog, NewEvent } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { SINGLES_MAX, Singles } from './singles.ts'

const eventOf = (id: string, key = 'k'): NewEvent => ({
  stream: 's',
  type: 't',
  key,
  id,
  eventTimeMs: 1,
  data: { key },
})

describe('events one to a request', () => {
  let memory: EventLog
  let commits: number[]
  let singles: Singles
  beforeEach(async () => {
    memory = openMemoryLog({ clock: systemClock })
    await memory.declare([{ name: 's', partitions: 2 }])
    commits = []
    const commit = (request: CommitRequest): ReturnType<EventLog['commit']> => {
      commits.push(request.events?.length ?? 0)
      return memory.commit(request)
    }
    singles = new Singles({ commit }, systemClock)
  })

  it('of one turn are one commit, and each has its own outcome', async () => {
    const outcomes = await Promise.allSettled([
      singles.append(10, () => eventOf('a')),
      singles.append(10, () => {
        throw new RangeError('this body is broken')
      }),
      singles.append(10, () => eventOf('a')),
      singles.append(10, () => eventOf('a', 'other')),
      singles.append(10, () => undefined),
      singles.append(10, () => eventOf('b')),
    ])
    assert.deepEqual(commits, [4])
    const statuses = outcomes.map(outcome =>
      outcome.status === 'rejected' ? String(outcome.reason) : outcome.value?.result.status,
    )
    assert.deepEqual(statuses, [
      'appended',
      'RangeError: this body is broken',
      'duplicate',
      'conflict',
      undefined,
      'appended',
    ])
    assert.ok(await memory.find('b'))
  })

  it('do not share the fate of one that cannot be stored', async () => {
    const outcomes = await Promise.allSettled([
      singles.append(10, () => eventOf('a')),
      singles.append(10, () => eventOf('b', 'x'.repeat(513))),
      singles.append(10, () => eventOf('c')),
    ])
    assert.deepEqual(commits, [3, 1, 1, 1])
    const [a, b, c] = outcomes
    assert.equal(a?.status === 'fulfilled' && a.value?.result.status, 'appended')
    assert.ok(b?.status === 'rejected' && isError(b.reason, 'LOG_EVENT_INVALID'))
    assert.equal(c?.status === 'fulfilled' && c.value?.result.status, 'appended')
  })

  it('are no more in a commit than the limits', async () => {
    const small = Array.from({ length: SINGLES_MAX + 3 }, (_, index) =>
      singles.append(10, () => eventOf(`s${index}`)),
    )
    await Promise.all(small)
    const large = [1, 2, 3].map(index => singles.append(700_000, () => eventOf(`l${index}`)))
    await Promise.all(large)
    assert.deepEqual(commits, [SINGLES_MAX, 3, 2, 1])
  })

  it('hear why the log takes nothing', async () => {
    await memory.close()
    const outcomes = await Promise.allSettled([
      singles.append(10, () => eventOf('a')),
      singles.append(10, () => eventOf('b')),
    ])
    for (const outcome of outcomes) {
      assert.ok(outcome.status === 'rejected' && isError(outcome.reason, 'LOG_CLOSED'))
    }
  })
})
