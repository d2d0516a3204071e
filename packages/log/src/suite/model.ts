/** Random commands against an implementation and against the memory log: both must say the same. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { isError } from '@millrace/core'
import type { Clock } from '@millrace/core'
import type { CommitRequest, EventLog, NewEvent } from '../log.ts'
import { openMemoryLog } from '../memory/index.ts'
import { PARTITIONS, START_MS, STREAM, historyOf, readAll, withLog } from './harness.ts'
import type { Bench, LogFactory } from './harness.ts'

const SEED = 20_250_714
const RUNS = 30
const KEYS = ['a', 'b', 'ключ', '🔑', 'long-'.repeat(60)]

type Command =
  | { kind: 'commit'; events: NewEvent[] }
  | {
      kind: 'step'
      partition: number
      take: number
      skew: number
      generation: number
      emit: NewEvent[]
    }
  | { kind: 'wait'; ms: number }
  | { kind: 'reopen' }

const eventOf: fc.Arbitrary<NewEvent> = fc.record(
  {
    stream: fc.constant(STREAM),
    type: fc.constantFrom('clicked', 'viewed'),
    key: fc.constantFrom(...KEYS),
    id: fc.integer({ min: 0, max: 60 }).map(number => `id-${number}`),
    eventTimeMs: fc.integer({ min: 0, max: 3 }).map(offset => START_MS + offset),
    data: fc.constantFrom<unknown>(1, 'two', { three: [3] }, null, { text: 'ü'.repeat(700) }),
    tenant: fc.constantFrom('default', 'acme'),
    expectedVersion: fc.integer({ min: 0, max: 3 }),
    isUnique: fc.boolean(),
    isHistory: fc.boolean(),
    headers: fc.constantFrom<Record<string, string>>({}, { a: 'b' }),
    partition: fc.integer({ min: 0, max: PARTITIONS - 1 }),
    keys: fc.subarray(KEYS, { minLength: 1 }),
  },
  { requiredKeys: ['stream', 'type', 'key', 'id', 'eventTimeMs', 'data'] },
)

const commandOf: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('commit' as const), events: fc.array(eventOf, { maxLength: 12 }) }) }, // prettier-ignore
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('step' as const),
      partition: fc.integer({ min: 0, max: PARTITIONS - 1 }),
      take: fc.integer({ min: 0, max: 4 }),
      skew: fc.constantFrom(0, 0, 0, 1),
      generation: fc.constantFrom(1, 1, 1, 2),
      emit: fc.array(
        eventOf.map(event => ({ ...event, expectedVersion: undefined })),
        { maxLength: 3 },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 50 }) }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
)

/** The comparison with the memory log. */
export function modelSuite(factory: LogFactory): void {
  it('does what the memory log does, whatever is asked of it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(commandOf, { maxLength: 4 }), { maxLength: 12 }), rounds =>
        withLog(factory, async bench => {
          const clock = { nowMs: () => bench.nowMs } as Clock
          const model = openMemoryLog({ clock })
          await model.declare([{ name: STREAM, partitions: PARTITIONS }])
          for (const commands of rounds) {
            await runRound(bench, model, commands)
            await compare(bench.log, model)
          }
        }),
      ),
      { seed: SEED, numRuns: RUNS },
    )
  })
}

/** Commands of one round are issued without waiting for each other. */
async function runRound(
  bench: Bench,
  model: EventLog,
  commands: readonly Command[],
): Promise<void> {
  const pending: Promise<void>[] = []
  for (const command of commands) {
    if (command.kind === 'wait') bench.nowMs += command.ms
    else if (command.kind === 'reopen') {
      await Promise.all(pending.splice(0))
      await bench.reopen()
    } else {
      const request = requestOf(command, model)
      const wanted = outcomeOf(model, request)
      pending.push(
        outcomeOf(bench.log, request).then(async found => assert.deepEqual(found, await wanted)),
      )
    }
  }
  await Promise.all(pending)
}

function requestOf(command: Command & { kind: 'commit' | 'step' }, model: EventLog): CommitRequest {
  if (command.kind === 'commit') return { events: command.events }
  const { partition, generation, take, skew, emit } = command
  const query = { processor: 'p', generation, stream: STREAM, partition }
  const from = (model.steps(query)[0]?.consumed ?? 0) + skew
  return {
    step: {
      processor: 'p',
      generation,
      source: { stream: STREAM, partition },
      from,
      to: from + take,
      emitted: emit,
    },
  }
}

async function outcomeOf(log: EventLog, request: CommitRequest): Promise<unknown> {
  try {
    const { results, position } = await log.commit(request)
    return { results, position: new Map(position) }
  } catch (error) {
    if (isError(error)) return { code: error.code, message: error.message }
    throw error
  }
}

async function compare(log: EventLog, model: EventLog): Promise<void> {
  assert.deepEqual(new Map(log.ends()), new Map(model.ends()))
  for (let partition = 0; partition < PARTITIONS; partition++) {
    assert.deepEqual(await readAll(log, partition), await readAll(model, partition))
    const query = { processor: 'p', stream: STREAM, partition }
    for (const generation of [1, 2]) {
      const [found] = log.steps({ ...query, generation })
      const [wanted] = model.steps({ ...query, generation })
      assert.deepEqual(
        [found?.consumed, new Map(found?.ends)],
        [wanted?.consumed, new Map(wanted?.ends)],
      )
    }
  }
  for (const tenant of ['default', 'acme']) {
    for (const key of KEYS) {
      const query = { stream: STREAM, key, tenant }
      assert.equal(await log.version(query), await model.version(query))
      assert.deepEqual(
        await historyOf(log, [key], { tenant }),
        await historyOf(model, [key], { tenant }),
      )
    }
    assert.deepEqual(
      await historyOf(log, KEYS, { tenant }),
      await historyOf(model, KEYS, { tenant }),
    )
  }
  const ids = Array.from({ length: 61 }, (_, number) => `id-${number}`)
  const found = await log.find(ids)
  for (const id of ids) {
    const offset = (await model.find(id))?.offset
    assert.equal((await log.find(id))?.offset, offset)
    assert.equal(found.get(id)?.offset, offset)
  }
}
