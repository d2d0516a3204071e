/** The checks of an app, compiled, by the stream and by the type of the events that they look at. */
import { compileCheck, type App, type CompiledCheck } from '@millrace/core'

/** Header of an event that is to be held: the name of the check that it failed. */
export const QUARANTINE_HEADER = 'quarantine'

/** See the head of the file. */
export interface CheckPlans {
  readonly all: readonly CompiledCheck[]
  readonly byName: ReadonlyMap<string, CompiledCheck>
  readonly byStream: ReadonlyMap<string, readonly CompiledCheck[]>
  readonly byType: ReadonlyMap<string, readonly CompiledCheck[]>
}

const compiled = new WeakMap<App, CheckPlans>()

/** Compiles the checks of an app, once. */
export function planChecks(app: App): CheckPlans {
  const known = compiled.get(app)
  if (known !== undefined) return known
  const all = Object.entries(app.options.checks ?? {}).map(([name, made]) => compileCheck(name, made)) // prettier-ignore
  const plans = {
    all,
    byName: new Map(all.map(check => [check.name, check])),
    byStream: Map.groupBy(all, ({ definition }) => definition.of.stream),
    byType: Map.groupBy(all, ({ definition }) => definition.of.name),
  }
  compiled.set(app, plans)
  return plans
}

/** Name of the fold that counts for the checks of a stream. */
export function checkFoldName(stream: string): string {
  return `check.${stream}`
}
