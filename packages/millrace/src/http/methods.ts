/** What a path answers to when it is asked with another method: 405 with the methods that it has. */
import type { Operation } from './operation.ts'

/** The methods of a path, for `Allow`; empty when no operation has the path. */
export type FindMethods = (path: string) => readonly string[]

/** Compiles the paths of the operations. Asked only when no route was found, so it need not be fast. */
export function createMethodFinder(operations: readonly Operation[]): FindMethods {
  const routes = operations.map(({ method, path, serve }) => ({
    pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/:\w+/g, '[^/]+')}$`),
    methods: method === 'GET' && serve === undefined ? ['GET', 'HEAD'] : [method],
  }))
  return path => {
    const found = routes.filter(({ pattern }) => pattern.test(path))
    return [...new Set(found.flatMap(({ methods }) => methods))].sort()
  }
}
