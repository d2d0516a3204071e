import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isError } from '@millrace/core'
import { readConfig, settings } from './config.ts'

describe('the configuration', () => {
  it('comes from overrides, then the environment, then defaults', () => {
    const environment = { PORT: '5000', MILLRACE_DATA: '/data', MILLRACE_EVENTS_MAX: '7' }
    const config = readConfig({ data: 'memory', limits: { depthMax: 9 } }, environment)
    assert.deepEqual([config.data, config.port, config.host], ['memory', 5000, '127.0.0.1'])
    assert.deepEqual([config.limits.eventsMax, config.limits.depthMax], [7, 9])
    assert.equal(readConfig({}, { PORT: '' }).port, 4321)
  })

  it('refuses what it cannot use, naming the setting', () => {
    for (const PORT of ['x', '-1', '70000', '1.5', ' ']) {
      assert.throws(
        () => readConfig({}, { PORT }),
        error => isError(error, 'CONFIG_INVALID') && error.details['name'] === 'PORT',
      )
    }
    assert.throws(
      () => readConfig({}, { MILLRACE_LOG_LEVEL: 'loud' }),
      error => isError(error, 'CONFIG_INVALID'),
    )
    assert.throws(
      () => readConfig({ limits: { eventsMax: 0 } }, {}),
      error => isError(error, 'CONFIG_INVALID'),
    )
  })

  it('documents every setting with a default that it accepts', () => {
    const names = settings.map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
    const environment = Object.fromEntries(
      settings.map(setting => [setting.name, String(setting.default)]),
    )
    assert.deepEqual(readConfig({}, environment), readConfig({}, {}))
    for (const { description } of settings) assert.match(description, /\.$/)
  })
})
