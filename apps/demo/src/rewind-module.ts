/**
 * What the tour on the page needs beside the routes that everyone uses: a ring of bots that plays a few
 * clips, and a backtest of one changed rule, in a process of its own, beside what the simulator knows.
 */
import { execFile } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { defineErrors } from '@millrace/core'
import type { Audience } from '@millrace/sim/audience'
import {
  defineModule,
  type ModuleContext,
  type ProductModule,
  type RouteDefinition,
} from 'millrace'
import { createRing, type Ring } from './ring.ts'
import { gainOf, type Difference } from './truth.ts'

const RING_EVENTS = 4_000
const CHANGED = fileURLToPath(new URL('changed-rule.ts', import.meta.url))
const RULE = '1 % of the slots explore, not 5 %'

const errors = defineErrors({
  DEMO_BUSY: {
    status: 409,
    retryable: true,
    message: 'The ring is playing, or a backtest runs already.',
    remedy: 'Wait for it to end.',
  },
})

/** What the module stands on. */
export interface RewindPorts {
  readonly audience: Audience
  /** The data directory. */
  readonly data: string
  /** Appends the events of the ring. */
  send(events: Ring['events']): Promise<void>
}

interface BacktestJson {
  readonly requests: { readonly answered: number; readonly different: number }
  readonly slots: { readonly shown: number }
  readonly earnings?: {
    readonly selfNormalised: {
      readonly change: { readonly value: number; readonly low: number; readonly high: number }
    }
  }
}

const text = { type: 'string' } as const
const number = { type: 'number' } as const
const texts = { type: 'array', items: text } as const

/** Creates the module. */
export function createRewindModule(ports: RewindPorts): ProductModule<undefined> {
  let isBusy = false
  const alone = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isBusy) throw errors.create('DEMO_BUSY')
    isBusy = true
    try {
      return await work()
    } finally {
      isBusy = false
    }
  }
  return defineModule({
    name: 'rewind',
    errors,
    open: ({ clock, log }) => ({
      api: undefined,
      metrics: [],
      routes: [ringRoute(ports, clock, alone), backtestRoute(ports, log, alone)],
    }),
  })
}

/** One at a time; throws DEMO_BUSY. */
type Alone = <T>(work: () => Promise<T>) => Promise<T>

function ringRoute(
  ports: RewindPorts,
  clock: ModuleContext['clock'],
  alone: Alone,
): RouteDefinition {
  return {
    method: 'POST',
    path: '/v1/demo/ring',
    operation: 'demoRing',
    scope: 'admin',
    summary: 'A ring of bots plays a few clips that nobody likes',
    body: { type: 'object', additionalProperties: false },
    response: {
      type: 'object',
      required: ['bots', 'clips', 'events'],
      properties: { bots: texts, clips: texts, events: number },
    },
    errors: ['DEMO_BUSY'],
    handle: () =>
      alone(async () => {
        const { bots, clips, events } = createRing(ports.audience, { events: RING_EVENTS, nowMs: clock.nowMs() }) // prettier-ignore
        await ports.send(events)
        return { body: { bots, clips, events: events.length } }
      }),
  }
}

function backtestRoute(
  ports: RewindPorts,
  log: ModuleContext['log'],
  alone: Alone,
): RouteDefinition {
  return {
    method: 'POST',
    path: '/v1/demo/backtest',
    operation: 'demoBacktest',
    scope: 'admin',
    summary: 'What the home page would have brought by another rule: as estimated, and as it is',
    body: { type: 'object', additionalProperties: false },
    response: {
      type: 'object',
      required: ['rule', 'answers', 'different', 'predicted', 'truth'],
      properties: {
        rule: text,
        answers: number,
        different: number,
        predicted: {
          type: ['object', 'null'],
          properties: { value: number, low: number, high: number },
        },
        truth: number,
      },
    },
    errors: ['DEMO_BUSY'],
    handle: () =>
      alone(async () => {
        const { report, differences } = await runBacktest(ports.data)
        const change = report.earnings?.selfNormalised.change
        const gain = await gainOf({ audience: ports.audience, log }, differences)
        return {
          body: {
            rule: RULE,
            answers: report.requests.answered,
            different: report.requests.different,
            predicted: change === undefined || Number.isNaN(change.value) ? null : change,
            truth: gain / Math.max(1, report.slots.shown),
          },
        }
      }),
  }
}

/** `millrace backtest` of the home page by the changed rule, beside the server. */
async function runBacktest(
  data: string,
): Promise<{ readonly report: BacktestJson; readonly differences: readonly Difference[] }> {
  const bin = fileURLToPath(new URL('../bin/millrace.mjs', import.meta.resolve('millrace')))
  const out = join(data, 'differences.jsonl')
  const words = ['backtest', '--surface', 'home', '--app', CHANGED, '--data', data, '--json', '--out', out] // prettier-ignore
  const { stdout } = await promisify(execFile)(process.execPath, [bin, ...words]) // prettier-ignore
  const lines = readFileSync(out, 'utf8')
    .split('\n')
    .filter(line => line !== '')
  rmSync(out)
  return {
    report: JSON.parse(stdout) as BacktestJson,
    differences: lines.map(line => JSON.parse(line) as Difference),
  }
}
