/** Backtests: the log of a product read beside whoever serves it, by the process of the command. */
import type { App, Clock } from '@millrace/core'
import { planEvolution, readSchemaHistory, upcastingReads } from '@millrace/log/schemas'
import { backtest, type BacktestOptions, type BacktestReport } from '@millrace/product'
import { openBeside } from './backends.ts'
import { planHouse } from './house.ts'
import { modulesOf, orderModules } from './modules.ts'
import { declaredEvents } from './schemas.ts'
import { eventsOfDecisions } from './sealing.ts'

/** Answers past requests of a data directory or a database again by the definition `app`. */
export async function runBacktest(
  place: {
    readonly app: App
    readonly data: string
    /** The address of a database that holds the log; empty for none. */
    readonly database: string
    readonly clock: Clock
  },
  options: BacktestOptions,
): Promise<BacktestReport> {
  const { app, clock } = place
  const { log, close } = await openBeside(place)
  try {
    const history = await readSchemaHistory(log)
    const { reads } = upcastingReads(log, planEvolution(declaredEvents(app), history), history, eventsOfDecisions) // prettier-ignore
    const { folds } = planHouse(app, orderModules(modulesOf(app)))
    const past = { ...reads, ends: () => log.ends(), stats: () => log.stats() }
    return await backtest({ app, folds, log: past, clock }, options)
  } finally {
    await close()
  }
}
