/**
 * `npm start`: a content product with a simulated audience, live. Opens a data directory of its own
 * (made anew each time, unless MILLRACE_DATA names one), imports a few days of history, listens,
 * shows the console at the root, and lets the audience go on at a rate of events until Ctrl-C.
 *
 *     npm start -- --rate 200 --people 2000
 */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isError, systemClock } from '@millrace/core'
import {
  createAudience,
  type Audience,
  type AudienceBatch,
  type PacedRun,
} from '@millrace/sim/audience'
import { defineApp, openMillrace, readConfig, type Millrace } from 'millrace'
import { product } from './app.ts'
import { createAudienceModule, createStage, type Stage } from './audience-module.ts'
import { createRewindModule } from './rewind-module.ts'
import type { Ring } from './ring.ts'
import { readWords } from './words.ts'

const HISTORY_DAYS = 4
const DAY_MS = 86_400_000
const PAGE = fileURLToPath(new URL('../../console/dist', import.meta.url))

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** The demo's data directory: the configured one, or one of its own that starts empty. */
function dataDirectory(): string {
  const configured = readConfig({}).data
  const standard = readConfig({}, {}).data
  if (configured !== standard) return configured
  const own = join(standard, 'demo')
  rmSync(own, { recursive: true, force: true })
  return own
}

/** Catalogue, people and events of a batch as events. */
function eventsOf(
  batch: AudienceBatch,
): { type: string; id?: string; at: number; data: Record<string, unknown> }[] {
  const puts = [
    ...batch.items.map(({ kind, id, data }) => ({
      type: `${kind}.put`,
      at: data.publishedAt,
      data: { id, attributes: data },
    })),
    ...batch.people.map(({ id, data }) => ({
      type: 'person.put',
      at: data.joinedAt,
      data: { id, attributes: data },
    })),
  ]
  const done = batch.events.map(({ type, id, atMs, data }) => ({
    type,
    ...(id !== undefined && { id }),
    at: atMs,
    data,
  }))
  return [...puts, ...done]
}

async function append(
  millrace: Millrace,
  batch: AudienceBatch,
  isHistory: boolean,
): Promise<number> {
  const outcome = await millrace.trackMany(eventsOf(batch), { isHistory })
  const refused = outcome.counts.invalid + outcome.counts.conflicts
  if (refused > 0) throw new TypeError(`The demo made ${refused} events that do not fit its app.`)
  return outcome.counts.appended
}

async function importHistory(
  millrace: Millrace,
  audience: Audience,
  stage: Stage,
): Promise<number> {
  let events = 0
  for await (const batch of audience.history({ days: HISTORY_DAYS })) {
    stage.welcome(batch)
    stage.observe(batch.events)
    events += await append(millrace, batch, true)
  }
  return events
}

/** The audience asks the product for lists, as its people would. */
function letLive(millrace: Millrace, audience: Audience, stage: Stage, rate: number): PacedRun {
  const take = async (batch: Partial<AudienceBatch>): Promise<void> => {
    const whole = { people: [], items: [], events: [], ...batch }
    stage.welcome(whole)
    await append(millrace, { ...whole, events: [...stage.observe(whole.events)] }, false)
  }
  return audience.pace(
    {
      recommend: ({ person, surface, n }) => millrace.recommend(surface, { person, n }).items,
      send: events => take({ events }),
      publish: items => take({ items }),
      register: people => take({ people }),
    },
    {
      clock: systemClock,
      eventsPerSecond: rate,
      onFailure: error => say(`The product did not take a batch: ${String(error)}`),
    },
  )
}

async function start(): Promise<void> {
  const startedMs = systemClock.monotonicMs()
  const words = readWords(process.argv.slice(2))
  if ('problem' in words) {
    process.stderr.write(`${words.problem}\n`)
    process.exitCode = 2
    return
  }
  const { rate, people, port } = words
  const nowMs = systemClock.nowMs()
  const audience = createAudience({
    seed: nowMs,
    people,
    startMs: nowMs - HISTORY_DAYS * DAY_MS,
    slateSize: 12,
  })
  const stage = createStage(audience)
  const data = dataDirectory()
  const send = async (events: Ring['events']): Promise<void> => {
    for (let at = 0; at < events.length; at += 1_000) {
      await millrace.trackMany(events.slice(at, at + 1_000))
    }
  }
  const modules = [createAudienceModule(stage), createRewindModule({ audience, data, send })]
  const app = defineApp({ ...product, modules })
  const millrace = await openMillrace({
    app,
    data,
    logLevel: 'warn',
    ...(port !== undefined && { port }),
    ...(existsSync(join(PAGE, 'index.html')) && { page: PAGE }),
  })
  const events = await importHistory(millrace, audience, stage)
  const { url } = await millrace.listen()
  const run = letLive(millrace, audience, stage, rate)
  const readyMs = Math.round(systemClock.monotonicMs() - startedMs)
  say(
    `Millrace demo: ${people} people, ${events} events of ${HISTORY_DAYS} days, ready in ${readyMs} ms.`,
  )
  say('')
  say(`  page     ${url}/`)
  say(`  API      ${url}/docs`)
  say(`  metrics  ${url}/metrics`)
  say('')
  say(`The audience goes on at about ${rate} events per second. Ctrl-C stops it.`)
  let isStopping = false
  const stop = async (): Promise<void> => {
    if (isStopping) return
    isStopping = true
    await run.stop()
    await millrace.close()
    say('Stopped; everything acknowledged is on disk.')
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stop())
}

try {
  await start()
} catch (error) {
  const text = isError(error) ? `${error.message}\n${error.remedy}` : String(error)
  process.stderr.write(`The demo did not start. ${text}\n`)
  process.exitCode = 1
}
