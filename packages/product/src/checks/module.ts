/** The checks module: what is expected of events, whether it is so, and what is held because it is not. */
import { createHash } from 'node:crypto'
import type { App, CompiledCheck } from '@millrace/core'
import { personFields, type FoldDefinition } from '@millrace/streams'
import { defineModule, type MetricDefinition, type ProductModule } from '../module.ts'
import { CheckShard } from './check-shard.ts'
import { Checks } from './checks.ts'
import { checkErrors } from './errors.ts'
import { checkFoldName, planChecks } from './plan.ts'
import { checkRoutes } from './routes.ts'

/** The checks module. */
export function createChecks(): ProductModule<Checks> {
  return defineModule<Checks>({
    name: 'checks',
    errors: checkErrors,
    folds: app => [...planChecks(app).byStream].map(([stream, checks]) => foldOf(app, stream, checks)), // prettier-ignore
    open(context) {
      const { leads = () => true } = context
      const api = new Checks({ ...context, leads: () => leads('checks') })
      return {
        api,
        routes: checkRoutes(api),
        metrics: metricsOf(api),
        warnings: () => warningsOf(api),
        close: () => api.close(),
      }
    },
  })
}

function foldOf(
  app: App,
  source: string,
  checks: readonly CompiledCheck[],
): FoldDefinition<CheckShard> {
  const events = [...new Set(checks.map(({ definition }) => definition.of))]
  const tables = [...new Set(checks.flatMap(({ refersTo }) => refersTo ?? []))].sort()
  const content = JSON.stringify([checks.map(check => check.content), app.latenessMs])
  return {
    name: checkFoldName(source),
    version: createHash('sha256').update(content).digest('hex').slice(0, 12),
    source,
    types: events.map(event => event.name),
    people: personFields(events),
    ...(tables.length === 0 ? { hasLongHistories: true as const } : { tables }),
    onFailure: 'park',
    createShard: context => new CheckShard(checks, app.latenessMs, context),
  }
}

function warningsOf(checks: Checks): readonly string[] {
  return checks
    .recent()
    .flatMap(({ check: { name }, state, found, held }) => [
      ...(state === 'failing' ? [`check ${name}: ${found}`] : []),
      ...(held > 0 ? [`check ${name} holds ${held} events: millrace checks show ${name}`] : []),
    ])
}

function metricsOf(checks: Checks): readonly MetricDefinition[] {
  const collected = (value: (status: ReturnType<Checks['recent']>[number]) => number) => () =>
    checks.recent().map(status => ({ labels: { check: status.check.name }, value: value(status) }))
  return [
    {
      name: 'millrace_checks_failing',
      help: 'Whether a check fails, by its newest window: 1, or 0 when it does not, or there is too little to say.',
      type: 'gauge',
      collect: collected(({ state }) => (state === 'failing' ? 1 : 0)),
    },
    {
      name: 'millrace_checks_held_events',
      help: 'Events that a check holds back until they are released.',
      type: 'gauge',
      collect: collected(({ held }) => held),
    },
    {
      name: 'millrace_checks_refused_total',
      help: 'Events that were refused because of a check, since the process started.',
      type: 'counter',
      collect: collected(({ refused }) => refused),
    },
    {
      name: 'millrace_checks_disliked_total',
      help: 'Events that were taken although they do not fit a check (severity warn or quarantine), since the process started.',
      type: 'counter',
      collect: collected(({ disliked }) => disliked),
    },
  ]
}
