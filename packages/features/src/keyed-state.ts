/**
 * Folds of which one key after the other is fetched: rows are read, the keys that they asked for and
 * that were not there are loaded, and they are read again, until none is missing.
 */
import type { Position } from '@millrace/core'
import type { FoldDefinition, FoldHandle, FoldShard } from '@millrace/streams'
import type { FeatureStreams } from './reader.ts'

/** The state of one key. */
export interface KeyState {
  readonly shard: FoldShard
  readonly isParked: boolean
}

/** Where the states come from. */
export interface KeyedStatePorts {
  /** Names of the folds that there are. */
  readonly folds: readonly string[]
  definitionOf(fold: string): FoldDefinition
  stateOf(fold: string, key: string): Promise<KeyState>
}

/** See the head of the file. */
export class KeyedState implements FeatureStreams {
  readonly identities = { canonical: (id: string) => id }
  readonly #ports: KeyedStatePorts
  readonly #keys = new Map<string, Map<string, KeyState | undefined>>()

  constructor(ports: KeyedStatePorts) {
    this.#ports = ports
  }

  status(): readonly { readonly name: string }[] {
    return this.#ports.folds.map(name => ({ name }))
  }

  reflected(): Position {
    return new Map()
  }

  fold<Shard extends FoldShard>(name: string): Pick<FoldHandle<Shard>, 'shardOf' | 'isParked'> {
    const keys = this.#keys.get(name) ?? new Map<string, KeyState | undefined>()
    this.#keys.set(name, keys)
    const find = (key: string): KeyState | undefined => {
      const found = keys.get(key)
      if (found === undefined) keys.set(key, undefined)
      return found
    }
    const definition = this.#ports.definitionOf(name)
    const tables = { asOf: () => undefined }
    const nothing = definition.createShard({ partition: 0, partitions: 1, tables }) as Shard
    return {
      shardOf: key => (find(key)?.shard ?? nothing) as Shard,
      isParked: key => find(key)?.isParked ?? false,
    }
  }

  /** Loads the keys that were asked for and are not there; false when there are none. */
  async load(): Promise<boolean> {
    let isMore = false
    for (const [fold, keys] of this.#keys) {
      for (const [key, known] of keys) {
        if (known !== undefined) continue
        isMore = true
        keys.set(key, await this.#ports.stateOf(fold, key))
      }
    }
    return isMore
  }
}
