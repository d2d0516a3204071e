import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineApp, event, id, text, type App } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { SchemaHistory, SchemaVersion } from '@millrace/log/schemas'
import { createErrorDescription, createMask, MASKED, personalTypes } from './mask.ts'

const marked = { person: id('person'), words: text().personal() }
const plain = { person: id('person'), words: text() }
const appOf = (fields: typeof marked | typeof plain): App =>
  defineApp({ name: 'asking', events: [event('asked', fields, { key: 'person' })] })

/** The history of a log that met these definitions one after the other. */
function historyOf(apps: readonly App[]): SchemaHistory {
  const versions = apps.map(({ events, fingerprint: definition }, index): SchemaVersion => ({
    type: 'asked',
    version: index + 1,
    format: 'json',
    schema: events.get('asked')?.schema,
    level: 'FULL',
    definition,
    registeredMs: 0,
  }))
  const definitions = apps.map((app, index) => [app.fingerprint, { asked: index + 1 }] as const)
  return { versions: new Map([['asked', versions]]), definitions: new Map(definitions) }
}

const recordOf = (definition: string, data: unknown): LogRecord =>
  ({ stream: 'person', type: 'asked', definition, data }) as LogRecord
const sent = { person: 'ann', words: 'hello' }
const hidden = { person: 'ann', words: MASKED }

describe('the mask of the log', () => {
  const [before, today] = [appOf(marked), appOf(plain)]

  it('goes by the marks of the definition that a record was written under, and by those of today', () => {
    const unmarked = createMask(today, historyOf([before, today]))
    assert.deepEqual(unmarked(recordOf(before.fingerprint, sent)), hidden)
    assert.deepEqual(unmarked(recordOf(today.fingerprint, sent)), sent)
    const newlyMarked = createMask(before, historyOf([today, before]))
    assert.deepEqual(newlyMarked(recordOf(today.fingerprint, sent)), hidden)
  })

  it('hides what any definition marked when the definition of a record is not known', () => {
    const mask = createMask(today, historyOf([before, today]))
    assert.deepEqual(mask(recordOf('elsewhere', sent)), hidden)
  })

  it('hides what people put in place of an event', () => {
    const mask = createMask(before, historyOf([before]))
    const decision = { event: 'e', type: 'asked', kind: 'fix', reason: 'a slip' }
    const amended = (data: unknown): LogRecord =>
      ({ stream: 'streams.amendments', type: 'amended', data }) as LogRecord
    const shown = mask(amended({ ...decision, data: sent }))
    assert.deepEqual(shown, { ...decision, data: hidden })
    assert.deepEqual(mask(amended(decision)), decision)
  })

  it('hides what corrections put in place of events, and what folds had emitted', () => {
    const mask = createMask(before, historyOf([before]))
    const facts = { action: 'correct', reason: 'a slip', by: 'ana' }
    const corrected = (data: unknown): LogRecord => {
      const event = { id: 'e', stream: 'person', type: 'asked', data, emitted: { key: 'k', data } }
      const whole = { ...facts, events: [event, { id: 'f', stream: 'person', type: 'asked' }] }
      return { stream: 'streams.corrections', type: 'corrected', data: whole } as LogRecord
    }
    assert.deepEqual(mask(corrected(sent)), corrected(hidden).data)
  })

  it('leaves what is no object, and types of Millrace itself', () => {
    const mask = createMask(before, historyOf([before]))
    assert.equal(mask(recordOf(before.fingerprint, 'text')), 'text')
    const tick = { stream: 'person', type: 'tick', definition: '', data: sent } as LogRecord
    assert.equal(mask(tick), sent)
  })
})

describe('an error that nobody foresaw', () => {
  it('is told with its message only where nothing is personal', () => {
    const error = new TypeError('cannot take hello')
    const open = createErrorDescription(historyOf([appOf(plain)]))
    assert.match(open(error), /^TypeError: cannot take hello\n/)
    assert.equal(open('hello'), 'hello')
    const history = historyOf([appOf(marked), appOf(plain)])
    assert.deepEqual([...personalTypes(history)], ['asked'])
    assert.match(createErrorDescription(history)(error), /^TypeError: message withheld\n/)
  })
})
