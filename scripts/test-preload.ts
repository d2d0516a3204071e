/**
 * Loaded before each test file: keeps `node:test` from following every promise of a test from its
 * making to its collection, which it does to name the test that an uncaught error belongs to, and
 * which takes a fifth to a third of the time of tests that make many. It hears of its own resources
 * only, by which it knows the suite that a test is declared in; an uncaught error is told by its file,
 * which fails as before. Source: `setupProcessState` of lib/internal/test_runner/harness.js, Node 24.
 */
import asyncHooks, { type AsyncHook, type HookCallbacks } from 'node:async_hooks'

const { AsyncResource, createHook, executionAsyncId } = asyncHooks
const idle: AsyncHook = { enable: () => idle, disable: () => idle }
let callbacks: HookCallbacks = {}

Object.assign(asyncHooks, {
  createHook(given: HookCallbacks): AsyncHook {
    callbacks = given
    return idle
  },
  AsyncResource: class extends AsyncResource {
    constructor(...given: ConstructorParameters<typeof AsyncResource>) {
      super(...given)
      callbacks.init?.(this.asyncId(), given[0], executionAsyncId(), this)
    }
  },
})
// It takes both when it is loaded; whoever comes later gets the true ones.
await import('node:test')
Object.assign(asyncHooks, { AsyncResource, createHook })
