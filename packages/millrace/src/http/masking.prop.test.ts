import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  defineApp,
  event,
  id,
  int,
  item,
  oneOf,
  person,
  surface,
  signal,
  text,
  view,
  type Logger,
} from '@millrace/core'
import { defineModule } from '@millrace/product'
import fc from 'fast-check'
import type { Millrace } from '../millrace.ts'
import { openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

const Clip = item('clip', { title: text(), contact: text({ max: 200 }).personal().optional() })
const People = person({
  name: text({ max: 200 }).personal(),
  phones: text().many({ max: 3 }).personal().optional(),
  country: oneOf('at', 'nz').optional(),
})
const asked = event(
  'asked',
  {
    person: id('person'),
    clip: id('clip'),
    question: text({ max: 200 }).personal(),
    answers: text({ max: 200 }).many({ max: 3 }).personal().optional(),
    birth: int({ min: 0, max: 9_999_999_999_999 }).personal().optional(),
    urgency: int({ min: 0, max: 5 }).optional(),
  },
  { key: 'person' },
)
/** A route of a team that says too much when it fails. */
const talkative = defineModule({
  name: 'talkative',
  open: () => ({
    api: undefined,
    metrics: [],
    routes: [
      {
        method: 'POST' as const,
        path: '/v1/talkative',
        operation: 'talk',
        scope: 'server' as const,
        summary: 'Fails',
        body: { type: 'object' },
        response: { type: 'object' },
        handle({ body }) {
          throw new TypeError(`cannot take ${JSON.stringify(body)}`)
        },
      },
    ],
  }),
})
/** Data as an error of a team may quote it: whole, in part, in other letters, like a frame of a stack. */
function quoting(data: { readonly question: string }): string {
  const { question } = data
  return `${JSON.stringify(data)} ${question.toUpperCase()}\n    at ${question} (/app.ts:1:1)`
}
const app = defineApp({
  name: 'asking',
  items: [Clip],
  people: People,
  events: [asked],
  signals: [signal(asked, { item: 'clip' })],
  surfaces: { home: surface({ items: Clip }) },
  modules: [talkative],
  views: {
    failing: view({
      from: [asked],
      key: 'person',
      initial: () => ({}),
      fold(_state, { data }) {
        if (data.urgency === 5) throw new RangeError(quoting(data))
      },
      read: () => null,
    }),
    failingOfClip: view({
      from: [asked],
      key: 'clip',
      onFailure: 'pass',
      initial: () => ({}),
      fold(_state, { data }) {
        if (data.urgency === 5) throw Object.assign(new Error(), { message: quoting(data) })
      },
      read: () => null,
    }),
    talkative: view({
      from: [asked],
      key: 'person',
      initial: () => ({ last: '' }),
      fold(state, { data }) {
        state.last = quoting(data)
      },
      read(state) {
        throw new TypeError(state.last)
      },
    }),
  },
})

/** A value that nothing else can have said: marked text, and a number of as many digits. */
const secret = fc
  .tuple(fc.nat({ max: 999_999 }), fc.string({ unit: 'binary', maxLength: 20 }))
  .map(([number, more]) => ({
    mark: `zq${String(number).padStart(6, '0')}zq`,
    number: 7_770_000_000_000 + number,
    more,
  }))
const faults = fc.constantFrom(
  'none',
  'wrong type',
  'too long',
  'another field',
  'unknown type',
  'cut off',
  'no object',
  'conflict',
  'fold fails',
  'bad bytes',
)

describe('personal fields', () => {
  const logged: string[] = []
  const logger = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map(level => [
      level,
      (message: string, fields?: object) =>
        void logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
    ]),
  ) as unknown as Logger
  let millrace: Millrace<typeof app>
  let url = ''
  before(async () => {
    millrace = await openForTest({ app, logger })
    ;({ url } = await millrace.listen())
  })
  after(() => millrace.close())

  let made = 0
  it('are in no refusal, log line, metric or view of the log, whatever is sent', async () => {
    await fc.assert(
      fc.asyncProperty(
        secret,
        faults,
        fc.boolean(),
        async ({ mark, number, more }, fault, isLines) => {
          const shown: string[] = []
          const key = `p${made++}`
          const ask = async (path: string, options?: Parameters<typeof send>[2]): Promise<void> => {
            const { text: answer, headers } = await send(url, path, options)
            shown.push(answer, JSON.stringify([...headers]))
          }
          logged.length = 0
          const value = `${more}${mark}`
          const data: Record<string, unknown> = {
            person: key,
            clip: 'c',
            question: value,
            answers: [mark],
            birth: number,
          }
          if (fault === 'wrong type') data['urgency'] = [value]
          if (fault === 'too long') data['question'] = value.padEnd(300, mark)
          if (fault === 'another field') data['nickname'] = value
          if (fault === 'fold fails') data['urgency'] = 5
          const envelope = { type: fault === 'unknown type' ? 'told' : 'asked', id: key, data }
          let body: string | Uint8Array = JSON.stringify(fault === 'no object' ? [value] : envelope)
          if (fault === 'cut off') body = body.slice(0, body.indexOf(mark) + 8)
          if (fault === 'bad bytes') {
            body = Buffer.concat([Buffer.from(body.slice(0, -9)), Buffer.from([0xff])])
          }
          const headers = { 'content-type': isLines ? 'application/x-ndjson' : 'application/json' }
          await ask('/v1/events', { body, headers })
          if (fault === 'conflict') {
            const other = { ...envelope, data: { ...data, question: `${mark}!` } }
            await ask('/v1/events', { body: other })
          }
          const name = fault === 'wrong type' ? [value] : value
          await ask(`/v1/people/${key}`, { method: 'PUT', body: { name, country: 'xx' } })
          await ask(`/v1/people/${key}`, { method: 'PUT', body: { name: value, phones: [mark] } })
          await ask('/v1/items/clip', {
            body: [{ id: key, attributes: { title: 1, contact: value } }, { contact: value }],
          })
          await ask('/v1/talkative', { body: { question: value, deep: [{ phones: [mark] }] } })
          await millrace.reached(millrace.log.ends(), { timeoutMs: 60_000 })
          for (const path of [
            `/v1/log/streams/person/keys/${key}`,
            '/v1/dead-letters',
            `/v1/dead-letters/view.failing/${key}`,
            '/v1/surfaces/home/recommendations?explain=true',
            '/metrics',
            '/v1/views/failing',
          ]) {
            await ask(path)
          }
          await ask(`/v1/views/talkative/${key}`)
          const fixed = { ...data, question: '[personal]', answers: '[personal]', urgency: 1 }
          await ask(`/v1/dead-letters/view.failing/${key}/fix`, {
            body: { data: fixed, reason: 'a slip' },
          })
          await ask('/v1/dead-letters/view.failing/fix', { body: { data } })
          await ask('/v1/log/streams/streams.amendments/0')
          for (const said of [...shown, ...logged]) {
            assert.equal(said.toLowerCase().includes(mark), false, said)
            assert.equal(said.includes(String(number)), false, said)
          }
        },
      ),
      { numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 40) },
    )
  })
})
