/**
 * Timers of the keys of one shard: a heap by (time, key, name), which is the order they fire in
 * whatever the order they were set in. A timer that is put off keeps its entry, which goes to its
 * new place when its old time comes: one that every event puts off costs one entry, however many
 * events. A timer that is dropped or set earlier leaves an entry behind, ignored when its time comes.
 */

/** A timer that is due. */
export interface DueTimer {
  readonly atMs: number
  readonly key: string
  readonly name: string
}

/** A timer that is set, and the time of the entry that stands for it in the heap: not later. */
interface SetTimer {
  atMs: number
  queuedMs: number
}

/** See the head of the file. */
export class Timers {
  readonly #byKey = new Map<string, Map<string, SetTimer>>()
  readonly #heap: DueTimer[] = []
  readonly #held = new Set<string>()

  /** Sets or replaces a timer of a key. */
  set(key: string, name: string, atMs: number): void {
    let own = this.#byKey.get(key)
    if (own === undefined) this.#byKey.set(key, (own = new Map<string, SetTimer>()))
    const known = own.get(name)
    if (known !== undefined && known.queuedMs <= atMs) {
      known.atMs = atMs
      return
    }
    own.set(name, { atMs, queuedMs: atMs })
    pushHeap(this.#heap, { atMs, key, name })
  }

  /** Takes the next timer that is due at `watermarkMs`. */
  takeDue(watermarkMs: number): DueTimer | undefined {
    for (
      let top = this.#heap[0];
      top !== undefined && top.atMs <= watermarkMs;
      top = this.#heap[0]
    ) {
      popHeap(this.#heap)
      const own = this.#byKey.get(top.key)
      const timer = own?.get(top.name)
      if (timer?.queuedMs !== top.atMs || this.#held.has(top.key)) continue
      const { atMs } = timer
      if (atMs > top.atMs) {
        timer.queuedMs = atMs
        pushHeap(this.#heap, { ...top, atMs })
        continue
      }
      own?.delete(top.name)
      if (own?.size === 0) this.#byKey.delete(top.key)
      return top
    }
    return undefined
  }

  /** The timers of a key by name, for its canonical bytes; undefined when it has none. */
  of(key: string): Readonly<Record<string, number>> | undefined {
    const own = this.#byKey.get(key)
    if (own === undefined || own.size === 0) return undefined
    return Object.fromEntries([...own].map(([name, { atMs }]) => [name, atMs]))
  }

  /** Replaces all timers of a key, and lets them fire again when they were held. */
  replace(key: string, timers: Readonly<Record<string, number>> | undefined): void {
    this.#held.delete(key)
    this.#byKey.delete(key)
    for (const [name, atMs] of Object.entries(timers ?? {})) this.set(key, name, atMs)
  }

  /** Entries of the heap. */
  get waiting(): number {
    return this.#heap.length
  }

  /** The timers of a key do not fire until `replace`. */
  hold(key: string): void {
    this.#held.add(key)
  }
}

function isBefore(a: DueTimer, b: DueTimer): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs
  if (a.key !== b.key) return a.key < b.key
  return a.name < b.name
}

function pushHeap(heap: DueTimer[], entry: DueTimer): void {
  let index = heap.length
  heap.push(entry)
  while (index > 0) {
    const parent = (index - 1) >>> 1
    const above = heap[parent] as DueTimer
    if (!isBefore(entry, above)) break
    heap[index] = above
    index = parent
  }
  heap[index] = entry
}

function popHeap(heap: DueTimer[]): void {
  const last = heap.pop() as DueTimer
  if (heap.length === 0) return
  let index = 0
  for (;;) {
    let child = 2 * index + 1
    if (child >= heap.length) break
    const right = child + 1
    if (right < heap.length && isBefore(heap[right] as DueTimer, heap[child] as DueTimer)) {
      child = right
    }
    if (!isBefore(heap[child] as DueTimer, last)) break
    heap[index] = heap[child] as DueTimer
    index = child
  }
  heap[index] = last
}
