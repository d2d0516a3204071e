/** The thread that makes a build: see `build-threads.ts`. */
import { readlinkSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { isError, systemClock, systemRandom, type App } from '@millrace/core'
import { planEvolution, readSchemaHistory, upcastingReads } from '@millrace/log/schemas'
import {
  correctionsOf,
  decisionsOf,
  openBuilder,
  type Builder,
  type FoldDefinition,
} from '@millrace/streams'
import { serverErrors } from '../errors.ts'
import { openForBuilding } from './backends.ts'
import type { BuildCall, BuildReply, BuildThreadData } from './build-threads.ts'
import { differencesIn } from './differences.ts'
import { planHouse } from './house.ts'
import { modulesOf, orderModules } from './modules.ts'
import { openSealed } from './privacy.ts'
import { declaredEvents } from './schemas.ts'
import { erasableSnapshots } from './sealed-snapshots.ts'
import { eventsOfDecisions, hasSealed, sealingOf } from './sealing.ts'

/** Long: nobody else waits for this thread. */
const SLICE_MS = 100

/** Who waits for an answer goes first. Only Linux has priorities of threads. */
function giveWay(): void {
  if (process.platform !== 'linux') return
  setPriority(Number(basename(readlinkSync('/proc/thread-self'))), constants.priority.PRIORITY_LOW)
}

async function open({ appFile, data, database, job, consumed }: BuildThreadData): Promise<Builder> {
  const module = (await import(pathToFileURL(appFile).href)) as Record<string, unknown>
  const app = (module['default'] ?? module['app']) as App
  const opened = await openForBuilding({ data, database, clock: systemClock })
  const stored = openSealed(opened.log, opened.keys, app)
  const isSealed = hasSealed(sealingOf(app).personal)
  const snapshots = erasableSnapshots(opened.snapshots, { keys: opened.keys, random: systemRandom, isSealed }) // prettier-ignore
  const history = await readSchemaHistory(stored)
  const { reads } = upcastingReads(stored, planEvolution(declaredEvents(app), history), history, eventsOfDecisions) // prettier-ignore
  const decided = { ...reads, ends: () => stored.ends() }
  const { folds } = planHouse(app, orderModules(modulesOf(app)))
  const ports = {
    log: { ...reads, stats: () => stored.stats() },
    snapshots,
    clock: systemClock,
    sliceMs: SLICE_MS,
    amendments: await decisionsOf(decided, job),
    corrections: await correctionsOf(decided, job),
    differences: differencesIn(data, app),
    definitionOf: (fold: string, version: string) => definitionIn(folds, fold, version),
  }
  return await openBuilder(ports, job, consumed)
}

function definitionIn(
  folds: readonly FoldDefinition[],
  name: string,
  version: string,
): FoldDefinition {
  const fold = folds.find(other => other.name === name)
  const found = [fold, fold?.replaces].find(one => one?.version === version)
  if (found !== undefined) return found
  throw serverErrors.create('REBUILD_DEFINITION_CHANGED', { fold: name, version })
}

const port = parentPort
if (port !== null) {
  giveWay()
  const reply = async (id: number, work: () => Promise<Omit<BuildReply, 'id'>>): Promise<void> => {
    try {
      port.postMessage({ id, ...(await work()) } satisfies BuildReply)
    } catch (error) {
      const { code, message, remedy } = isError(error)
        ? error
        : { code: 'INTERNAL', message: String(error), remedy: '' }
      port.postMessage({ id, error: { code, message, remedy } } satisfies BuildReply)
    }
  }
  let builder: Builder | undefined
  await reply(0, async () => {
    builder = await open(workerData as BuildThreadData)
    return {}
  })
  port.on('message', (call: BuildCall) => {
    void reply(call.id, async () => {
      const own = builder as Builder
      if (call.kind === 'compare') return { result: await own.compare() }
      await own.foldTo(call.target)
      return {}
    })
  })
}
