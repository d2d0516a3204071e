/**
 * The runtime on the file log, on a simulated machine that is killed or loses power at random
 * moments of its life. After the last life every acknowledged event is there, every view is what a
 * naive computation gives, and nothing was emitted twice or lost.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate, type SimProcess, type SimWorld } from '@millrace/sim'
import type { EventLog } from '@millrace/log'
import { assertExact, assertRebuilds } from './testing/oracle.ts'
import { eventOf, openStack, settle } from './testing/stack.ts'

const LIVES = 4
const BATCH = 10
const EVENTS_PER_LIFE_MAX = 150

interface Sent {
  next: number
  readonly acknowledged: Set<number>
}

/** Sends events as long as the machine lives. */
async function send(
  log: EventLog,
  machine: SimProcess,
  world: SimWorld,
  sent: Sent,
): Promise<void> {
  const last = sent.next + EVENTS_PER_LIFE_MAX
  while (machine.isAlive && sent.next < last) {
    const first = sent.next
    sent.next += BATCH
    const numbers = Array.from({ length: BATCH }, (_, index) => first + index)
    await log.commit({ events: numbers.map(eventOf) })
    for (const number of numbers) sent.acknowledged.add(number)
    await world.clock.sleep(world.random.between(0, 5))
  }
}

for (const losesPower of [false, true]) {
  const name = losesPower ? 'views are exact after losses of power' : 'views are exact after kills'
  test(name, async () => {
    await simulate({
      name,
      file: import.meta.url,
      seeds: 3,
      environment: process.env,
      async scenario(world) {
        const sent: Sent = { next: 0, acknowledged: new Set() }
        for (let life = 0; life < LIVES; life++) {
          const machine = world.startProcess()
          const { log } = await openStack(machine)
          const faults: unknown[] = []
          send(log, machine, world, sent).catch((error: unknown) => void faults.push(error))
          await world.clock.sleep(world.random.between(1, 400))
          assert.deepEqual(faults, [])
          machine.kill()
          if (losesPower) world.disk.crash()
        }
        const { log, streams } = await openStack(world.startProcess())
        for (const number of sent.acknowledged) {
          const { id } = eventOf(number)
          assert.equal((await log.find(id))?.id, id, `event ${number}`)
        }
        await settle(log, streams)
        await assertExact(log, streams)
        await assertRebuilds(streams)
        await streams.close()
        await log.close()
      },
    })
  })
}
