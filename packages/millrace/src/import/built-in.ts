import type { App } from '@millrace/core'
import { genericApp } from './generic-app.ts'
import { movielensApp } from './movielens/app.ts'

/** Names of the apps that come with Millrace, as a data directory remembers them. */
export type BuiltInName = 'movielens' | 'interactions'

const APPS: Readonly<Record<BuiltInName, App>> = {
  movielens: movielensApp,
  interactions: genericApp,
}

/** The built-in app of this name, or undefined. */
export function builtInApp(name: string): App | undefined {
  return Object.hasOwn(APPS, name) ? APPS[name as BuiltInName] : undefined
}
