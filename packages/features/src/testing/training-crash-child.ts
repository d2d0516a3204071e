/**
 * The program that `../training/training-set.crash.test.ts` kills: it makes a training set of a small
 * log that it makes itself, and kills itself. Arguments: the file to write, and optionally the step,
 * counted from 1, behind whose end it dies, or the kind of the step (`answer`...) that it has half
 * written then.
 */
import { statSync, truncateSync } from 'node:fs'
import { defineApp, event, featureService, featureView, id, int, systemClock, trainingSet, derive } from '@millrace/core' // prettier-ignore
import { openMemoryLog } from '@millrace/log/memory'
import { compileFeatures, featureFoldName, type FeatureShard } from '../index.ts'
import type { FoldDefinition } from '@millrace/streams'
import {
  answerObservations,
  extract,
  makeCells,
  makeTrainingSet,
  type AnswerReport,
  type TrainingJob,
} from '../training/index.ts'

const [file = '', dieAt = ''] = process.argv.slice(2)
const HOUR_MS = 3_600_000

const watched = event('watched', { viewer: id('person'), ms: int() }, { key: 'viewer' })
const viewer = featureView({
  from: [watched],
  key: 'viewer',
  features: f => ({ plays: f.count({ window: '1d' }), last: f.lastNumbers({ window: '1d', of: 'ms', n: 2 }) }), // prettier-ignore
})
const ranking = featureService({
  entities: ['person'],
  features: {
    ...viewer.features,
    twice: derive({ plays: viewer.features.plays }, ({ plays }) => 2 * plays, { default: 0 }),
  },
})
const label = { event: watched, entities: { person: 'viewer' }, within: '6h' } as const
const clicks = trainingSet({ service: ranking, observe: watched, entities: { person: 'viewer' }, label }) // prettier-ignore
const app = defineApp({ name: 'killed', partitions: 1, events: [watched], features: { viewer, ranking }, trainingSets: { clicks } }) // prettier-ignore

const clock = { ...systemClock, nowMs: () => 10_000 * HOUR_MS }
const log = openMemoryLog({ clock })
await log.declare([...app.streams, { name: 'streams.corrections', partitions: 1 }, { name: 'streams.generations', partitions: 1 }]) // prettier-ignore
const events = Array.from({ length: 200 }, (_, at) => {
  const data = { viewer: `p${at % 7}`, ms: at }
  return { stream: 'person', type: 'watched', key: data.viewer, id: `e${1_000 + at}`, eventTimeMs: 5_000 * HOUR_MS + (at * HOUR_MS) / 4, data, isHistory: true } // prettier-ignore
})
await log.commit({ events })
const features = compileFeatures(app)
const fold = features.folds.find(({ name }) => name === featureFoldName('viewer')) as FoldDefinition<FeatureShard> // prettier-ignore

async function take({ kind, job }: TrainingJob): Promise<number | AnswerReport> {
  if (kind === 'extract') return await extract(log, clicks, job)
  if (kind === 'make') return await makeCells(clicks.service, features.services, job)
  return await answerObservations({ log, folds: features.folds, fold }, job)
}

await makeTrainingSet(
  {
    async run(step) {
      const result = await take(step)
      if (step.kind === dieAt) {
        truncateSync(step.job.part, statSync(step.job.part).size / 2)
        process.kill(process.pid, 'SIGKILL')
      }
      return result
    },
    threads: 1,
    ends: log.ends(),
    features,
  },
  {
    app,
    trainingSet: 'clicks',
    file,
    nowMs: 0,
    onProgress({ done, total }) {
      process.stdout.write(`${done}/${total}\n`)
      if (`${done}` === dieAt) process.kill(process.pid, 'SIGKILL')
    },
  },
)
