/** A thread that takes steps of training sets: see `training-threads.ts`. */
import { pathToFileURL } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { isError, systemClock, type App, type TrainingSetDefinition } from '@millrace/core'
import { compileFeatures, featureFoldName, type FeatureShard } from '@millrace/features'
import { answerObservations, extract, makeCells, type AnswerReport, type TrainingJob } from '@millrace/features/training' // prettier-ignore
import { planEvolution, readSchemaHistory, upcastingReads } from '@millrace/log/schemas'
import { tableFold, type FoldDefinition, type KnownLog } from '@millrace/streams'
import { openForBuilding } from './backends.ts'
import type { BuildPlace } from './build-threads.ts'
import { planHouse } from './house.ts'
import { modulesOf, orderModules } from './modules.ts'
import { openSealed } from './privacy.ts'
import { declaredEvents } from './schemas.ts'
import type { TrainingReply } from './training-threads.ts'

interface Opened {
  readonly app: App
  readonly log: KnownLog
  readonly folds: readonly FoldDefinition[]
}

async function open({ appFile, data, database }: BuildPlace): Promise<Opened> {
  const module = (await import(pathToFileURL(appFile).href)) as Record<string, unknown>
  const app = (module['default'] ?? module['app']) as App
  const opened = await openForBuilding({ data, database, clock: systemClock })
  const stored = openSealed(opened.log, opened.keys, app)
  const history = await readSchemaHistory(stored)
  const { reads } = upcastingReads(stored, planEvolution(declaredEvents(app), history), history)
  const { folds } = planHouse(app, orderModules(modulesOf(app)))
  return { app, log: { ...reads, ends: () => stored.ends(), stats: () => stored.stats() }, folds }
}

async function take(
  { app, log, folds }: Opened,
  { kind, job }: TrainingJob,
): Promise<number | AnswerReport> {
  if (kind !== 'answer') {
    const definition = app.options.trainingSets?.[job.trainingSet] as TrainingSetDefinition
    if (kind === 'extract') return await extract(log, definition, job)
    return await makeCells(definition.service, compileFeatures(app).services, job)
  }
  const view = folds.find(({ name }) => name === featureFoldName(job.of))
  const fold = job.isTable ? tableFold(job.of) : (view as FoldDefinition<FeatureShard>)
  return await answerObservations({ log, folds, fold }, job)
}

const port = parentPort
if (port !== null) {
  const opening = open(workerData as BuildPlace)
  // Whoever asks hears of it.
  opening.catch(() => undefined)
  port.on('message', (job: TrainingJob) => {
    void opening
      .then(opened => take(opened, job))
      .then(
        (result): TrainingReply => ({ result }),
        (error: unknown): TrainingReply => {
          const { code, message, remedy } = isError(error)
            ? error
            : { code: 'INTERNAL', message: String(error), remedy: '' }
          return { error: { code, message, remedy } }
        },
      )
      .then(reply => port.postMessage(reply))
  })
}
