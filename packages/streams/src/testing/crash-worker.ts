/**
 * The process that the crash test kills: a stack under a stream of events. Writes `ready`, then the
 * count of events that were acknowledged, each on a line.
 */
import { flushCompileCache } from 'node:module'
import { systemClock, systemRandom } from '@millrace/core'
import { openNodeDisk } from '@millrace/log/disk'
import { eventOf, openStack } from './stack.ts'

const BATCH = 20

const [directory = '', first = '0'] = process.argv.slice(2)
const machine = { disk: openNodeDisk(directory), clock: systemClock, random: systemRandom }
const { log } = await openStack(machine)
process.stdout.write('ready\n')
// Who is killed leaves nothing to the next one otherwise.
flushCompileCache()
for (let number = Number(first); ; number += BATCH) {
  const events = Array.from({ length: BATCH }, (_, index) => eventOf(number + index))
  await log.commit({ events })
  process.stdout.write(`${number + BATCH}\n`)
  // Other work gets a turn, as between two requests.
  await new Promise<void>(resolve => systemClock.soon(resolve))
}
