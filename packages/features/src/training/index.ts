export {
  answerObservations,
  type AnswerJob,
  type AnswerPorts,
  type AnswerReport,
} from './answer.ts'
export { extract, type ExtractJob } from './extract.ts'
export { makeCells, type MakeJob } from './make.ts'
export type { Manifest } from './manifest.ts'
export {
  makeTrainingSet,
  type TrainingJob,
  type TrainingPorts,
  type TrainingRequest,
} from './training-set.ts'
