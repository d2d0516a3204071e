/** Opens the modules of an app in the order of what they use, and runs their folds. */
import type { App, Logger } from '@millrace/core'
import {
  createCatalogue,
  createChecks,
  createChangesets,
  createErasure,
  createFeatures,
  createIdentity,
  createPeople,
  createRecommendations,
  type ModuleContext,
  type ModuleInstance,
  type ProductModule,
} from '@millrace/product'
import { serverErrors } from '../errors.ts'

/** A module that runs. */
export interface OpenedModule {
  readonly module: ProductModule
  readonly instance: ModuleInstance
}

/** The modules that every app has. */
export function standardModules(): readonly ProductModule[] {
  return [
    createCatalogue(),
    createRecommendations(),
    createPeople(),
    createChangesets(),
    createErasure(),
    createIdentity(),
    createFeatures(),
    createChecks(),
  ]
}

/** The modules of an app: the built-in ones, then its own. */
export function modulesOf(app: App): readonly ProductModule[] {
  const own = (app.options.modules ?? []) as readonly ProductModule[]
  return [...standardModules(), ...own]
}

const NAME = /^[a-z][a-z0-9-]{0,63}$/

/** Checks names and edges and sorts modules so that each comes after what it uses. Throws MODULE_INVALID. */
export function orderModules(modules: readonly ProductModule[]): readonly ProductModule[] {
  const byName = new Map<string, ProductModule>()
  for (const module of modules) {
    const refuse = (reason: string): never => {
      throw serverErrors.create('MODULE_INVALID', { module: module.name, reason })
    }
    if (typeof module.name !== 'string' || !NAME.test(module.name)) {
      refuse('its name is not [a-z][a-z0-9-]*')
    }
    if (typeof module.open !== 'function') refuse('it was not made by defineModule')
    if (byName.has(module.name)) refuse('there are two of that name')
    byName.set(module.name, module)
  }
  const ordered: ProductModule[] = []
  const state = new Map<string, 'visiting' | 'done'>()
  const visit = (module: ProductModule, path: readonly string[]): void => {
    if (state.get(module.name) === 'done') return
    const trail = [...path, module.name]
    if (state.get(module.name) === 'visiting') {
      const reason = `it uses itself: ${trail.join(' -> ')}`
      throw serverErrors.create('MODULE_INVALID', { module: module.name, reason })
    }
    state.set(module.name, 'visiting')
    for (const name of module.uses ?? []) {
      const used = byName.get(name)
      if (used === undefined) {
        const reason = `it uses ${name}, which is not there`
        throw serverErrors.create('MODULE_INVALID', { module: module.name, reason })
      }
      visit(used, trail)
    }
    state.set(module.name, 'done')
    ordered.push(module)
  }
  for (const module of modules) visit(module, [])
  return ordered
}

/** Opens modules that are in order; closes what was opened when one fails. */
export async function openModules(
  modules: readonly ProductModule[],
  context: Omit<ModuleContext, 'modules'>,
): Promise<readonly OpenedModule[]> {
  const opened: OpenedModule[] = []
  const instances = new Map<string, ModuleInstance>()
  try {
    for (const module of modules) {
      const used = new Map<string, ModuleInstance>()
      for (const name of module.uses ?? []) used.set(name, instances.get(name) as ModuleInstance)
      const instance = await module.open({ ...context, modules: used })
      instances.set(module.name, instance)
      opened.push({ module, instance })
    }
  } catch (error) {
    await closeModules(opened, context.logger)
    throw error
  }
  return opened
}

/** Closes modules, the last opened first; one that fails does not keep the others open. */
export async function closeModules(opened: readonly OpenedModule[], logger: Logger): Promise<void> {
  for (const { module, instance } of [...opened].reverse()) {
    try {
      await instance.close?.()
    } catch (error) {
      logger.error('a module did not close', { module: module.name, error: String(error) })
    }
  }
}
