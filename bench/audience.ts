/**
 * How fast the simulated audience and the simulated world are, and how far apart the baselines lie.
 * Prints one JSON object.
 *
 *   node bench/audience.ts [--events 1e6] [--people 5000] [--seeds 3]
 *
 * `eventsPerSecond` is by the clock of the machine, `eventsPerCpuSecond` by the processor time of
 * the process, which other processes on the machine disturb less. Rewards are fractions of clips
 * watched, summed over a slate of ten, on the ten days after ten organic ones: mean over seeds, and
 * the least and the greatest of them.
 */
import { parseArgs } from 'node:util'
import { createSeededRandom } from '@millrace/core'
import { createSimClock, createSimDisk } from '@millrace/sim'
import { createAudience, type BaselineName } from '@millrace/sim/audience'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1e6' },
    people: { type: 'string', default: '5000' },
    seeds: { type: 'string', default: '3' },
  },
})

/** Runs some work and tells how many units a second it made. */
async function measure(
  work: () => Promise<number>,
): Promise<{ units: number; perSecond: number; perCpuSecond: number }> {
  const startMs = performance.now()
  const start = process.cpuUsage()
  const units = await work()
  const spent = process.cpuUsage(start)
  const cpuMs = (spent.user + spent.system) / 1_000
  return {
    units,
    perSecond: Math.round((units / (performance.now() - startMs)) * 1_000),
    perCpuSecond: Math.round((units / cpuMs) * 1_000),
  }
}

/** Makes history and throws it away. */
async function makeHistory(): Promise<Record<string, unknown>> {
  const audience = createAudience({ people: Number(values.people), clips: 3_000 })
  let bytesMax = 0
  const { units, perSecond, perCpuSecond } = await measure(async () => {
    let events = 0
    for await (const batch of audience.history({ eventsMax: Number(values.events) })) {
      events += batch.events.length
      if (events % 50_000 < 1_000) bytesMax = Math.max(bytesMax, process.memoryUsage().heapUsed)
    }
    return events
  })
  return {
    events: units,
    eventsPerSecond: perSecond,
    eventsPerCpuSecond: perCpuSecond,
    days: Math.round((audience.nowMs - audience.options.startMs) / 86_400_000),
    people: audience.people().length,
    items: audience.items().length,
    heapMiBMax: Math.round(bytesMax / 2 ** 20),
  }
}

/** Mean reward of a policy after ten organic days. */
async function rewardOf(recommend: BaselineName, seed: number): Promise<number> {
  const audience = createAudience({ seed, people: 200, clips: 1_200 })
  const before = await audience.run({}, { days: 10 })
  const after = await audience.run({ recommend }, { days: 10 })
  return (after.clipReward - before.clipReward) / (after.clipSlates - before.clipSlates)
}

async function compareBaselines(): Promise<Record<string, unknown>> {
  const compared: Record<string, unknown> = {}
  for (const policy of ['random', 'popular', 'organic', 'oracle'] as const) {
    const rewards: number[] = []
    for (let seed = 1; seed <= Number(values.seeds); seed++) {
      rewards.push(await rewardOf(policy, seed))
    }
    compared[policy] = {
      mean: round(rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length),
      least: round(Math.min(...rewards)),
      greatest: round(Math.max(...rewards)),
    }
  }
  return compared
}

/** Tasks of the scheduler, and writes of 250 bytes each followed by a sync. */
async function driveWorld(): Promise<Record<string, unknown>> {
  const clock = createSimClock({ seed: 1 })
  const tasks = await measure(async () => {
    for (let count = 0; count < 200_000; count++) clock.after(count % 1_000, () => undefined)
    await clock.run()
    return 200_000
  })
  const disk = createSimDisk({ clock, random: createSeededRandom(1) })
  const writes = await measure(async () => {
    await clock.drive(
      async () => {
        const file = await disk.open('log', 'create')
        const record = new Uint8Array(250).fill(1)
        for (let count = 0; count < 20_000; count++) {
          await file.write(record, 0, record.length, count * record.length)
          await file.sync()
        }
      },
      { limitMs: Infinity },
    )
    return 20_000
  })
  return { tasksPerCpuSecond: tasks.perCpuSecond, syncedWritesPerCpuSecond: writes.perCpuSecond }
}

const round = (value: number): number => Math.round(value * 1_000) / 1_000

const history = await makeHistory()
const rewardPerSlate = await compareBaselines()
const world = await driveWorld()
console.log(JSON.stringify({ bench: 'audience', history, rewardPerSlate, world }, null, 2))
