/**
 * Loaded before each test file. Gives random inputs a fixed seed, so that a run says something about
 * the change that it judges and not about its luck: other seeds are searched on purpose, by
 * `MILLRACE_PROP_SEED=<number> npm test -- .prop.test.ts`. And it keeps `node:test` from following every promise of a test from its
 * making to its collection, which it does to name the test that an uncaught error belongs to, and
 * which takes a fifth to a third of the time of tests that make many. It hears of its own resources
 * only, by which it knows the suite that a test is declared in; an uncaught error is told by its file,
 * which fails as before. Source: `setupProcessState` of lib/internal/test_runner/harness.js, Node 24.
 */
import asyncHooks, { type AsyncHook, type HookCallbacks } from 'node:async_hooks'
import { readFileSync } from 'node:fs'

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

// It takes 50 ms to load, which only files that may use it should pay.
if (/fast-check|suite|world/i.test(readFileSync(process.argv[1] as string, 'utf8'))) {
  const fc = await import('fast-check')
  fc.configureGlobal({ seed: Number(process.env['MILLRACE_PROP_SEED'] ?? 20_260_101) })
}
