/** `features`: what models read, and are trained on. */
import type { Command } from 'commander'
import type { Run } from '../run-command.ts'
import { addTrainingSet } from './training-set.ts'

/** Registers `features`. */
export function addFeatures(program: Command, run: Run): void {
  const group = program
    .command('features')
    .summary('what models read: training sets, backfills')
    .description('Features of the app definition: training sets of them, and history for them.')
  addTrainingSet(group, run)
}
