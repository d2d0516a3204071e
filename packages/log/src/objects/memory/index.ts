/** An object store in memory: the double of all tests, which can be told to fail. */
import { checkObjectName, unavailable, type ObjectStore, type StoredObject } from '../objects.ts'

/** How a call goes wrong: refused at once; or, for `put`, after a part of the object was stored. */
export type ObjectFault = 'fails' | 'torn'

/** Says, before each call, how it goes wrong; undefined when it does not. */
export type ObjectFaults = (
  call: 'put' | 'get' | 'list' | 'remove',
  name: string,
) => ObjectFault | undefined

/** An object store in memory. `objects` is its content, for tests to look at and to damage. */
export function createMemoryObjectStore(
  faults: ObjectFaults = () => undefined,
  objects: Map<string, Uint8Array> = new Map(),
): ObjectStore & { readonly objects: Map<string, Uint8Array> } {
  const place = 'memory'
  const strike = (call: Parameters<ObjectFaults>[0], name: string): ObjectFault | undefined => {
    const fault = faults(call, name)
    if (fault === 'fails') throw unavailable({ place }, call, 'planted')
    return fault
  }
  return {
    place,
    objects,
    async put(name, bytes) {
      checkObjectName(name)
      const isTorn = strike('put', name) === 'torn'
      // A copy, also of a Buffer, whose `slice` is none.
      objects.set(
        name,
        new Uint8Array(bytes.subarray(0, isTorn ? bytes.length >> 1 : bytes.length)),
      )
      if (isTorn) throw unavailable({ place }, 'put', 'planted')
    },
    async get(name) {
      checkObjectName(name)
      strike('get', name)
      const found = objects.get(name)
      return found === undefined ? undefined : new Uint8Array(found)
    },
    async *list(prefix): AsyncGenerator<StoredObject> {
      strike('list', prefix)
      for (const [name, { length: bytes }] of [...objects].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (name.startsWith(prefix)) yield { name, bytes }
      }
    },
    async remove(name) {
      checkObjectName(name)
      strike('remove', name)
      objects.delete(name)
    },
  }
}
