/**
 * The Disk port in memory, with latency in virtual time, faults on demand and loss of power.
 *
 * A *mount* is the disk as one process sees it. When the process is killed its calls never answer
 * again, so that code of a dead process cannot act on the files of the next one; calls that were
 * under way are done, done in part, or not done.
 */
import { diskErrors, type Clock, type Disk, type DiskFile, type Random } from '@millrace/core'
import { simErrors } from '../errors.ts'
import { createSimRandom, type SimRandom } from '../random.ts'
import { PAGE_BYTES } from './content.ts'
import { DISK_CALLS, FaultPlan, type ArmedFault, type DiskCall, type DiskFault } from './faults.ts'
import { DirectoryNode, FileNode, Volume } from './volume.ts'

/** How long calls take, milliseconds of virtual time, drawn evenly between two bounds. */
export interface DiskLatency {
  readonly readMs: readonly [number, number]
  readonly writeMs: readonly [number, number]
  readonly syncMs: readonly [number, number]
  /** Opening, listing, renaming and the like. */
  readonly namesMs: readonly [number, number]
}

const LATENCY: DiskLatency = {
  readMs: [0.02, 0.2],
  writeMs: [0.02, 0.2],
  syncMs: [0.5, 5],
  namesMs: [0.02, 0.2],
}
/** What `freeBytes` answers on a volume without a limit. */
const UNLIMITED_BYTES = 2 ** 40

/** How a simulated disk begins. */
export interface SimDiskOptions {
  readonly clock: Clock
  readonly random: Random
  readonly latency?: Partial<DiskLatency>
  /** Faults armed from the start. */
  readonly faults?: readonly DiskFault[]
  /** Size of the volume in bytes. Default: no limit. */
  readonly capacityBytes?: number
}

/** A copy of all that a simulated disk holds, durable or not. */
export interface DiskSnapshot {
  readonly volume: Volume
}

/** The disk as one process sees it. */
export interface DiskMount {
  readonly disk: Disk
  /** The process is gone: its calls under way are done, done in part or not at all, and nothing answers it again. What it wrote stays readable. */
  kill(): void
}

/** A disk in memory. Used as a Disk itself, it is the mount of one process that a crash replaces by the next. */
export interface SimDisk extends Disk {
  /** A view for one process, which ends with `kill` or with the next crash. */
  mount(): DiskMount
  /** Loses power: all mounts end, open files never answer again, and of what was not synced only some survives. */
  crash(): void
  /** Arms a fault. */
  inject(fault: DiskFault): ArmedFault
  /** Takes all faults and the limit of space away. */
  repair(): void
  /** Leaves this many bytes free from now on; undefined for no limit. Space is taken in blocks of 4096 bytes. */
  limitFree(bytes: number | undefined): void
  /** Flips bits of a file in the cache and on the medium: damage that no call reported. Without a position at random places. */
  rot(path: string, options?: { position?: number; bits?: number }): void
  /** Calls by kind since the start or the last reset. */
  calls(): Readonly<Record<DiskCall, number>>
  resetCalls(): void
  /** Paths of all files as running code sees them, sorted. */
  paths(): readonly string[]
  /** A file's bytes as running code sees them, without a call being counted; undefined when missing. */
  peek(path: string): Uint8Array | undefined
  /** A file's bytes as they would certainly be after a loss of power now; undefined when its name would be gone. */
  peekDurable(path: string): Uint8Array | undefined
  /** Puts a durable file there, with its directories, without a call being counted: for setting up. */
  place(path: string, bytes: Uint8Array): void
  snapshot(): DiskSnapshot
  /** Takes the state of a snapshot of this or another disk; all mounts end. */
  restore(snapshot: DiskSnapshot): void
}

/** Creates an empty disk. */
export function createSimDisk(options: SimDiskOptions): SimDisk {
  return new MemoryDisk(options)
}

/** A call under way. `partly` does a random part of it, where calls can be done in part. */
interface Effect<T> {
  apply(): T
  partly?(bytes?: number): void
  /** For a sync that loses its data. */
  drop?(): void
}

class MemoryDisk implements SimDisk {
  readonly #clock: Clock
  readonly #random: SimRandom
  readonly #latency: DiskLatency
  readonly #faults = new FaultPlan()
  readonly #mounts = new Set<Mount>()
  readonly #calls = Object.fromEntries(DISK_CALLS.map(call => [call, 0])) as Record<
    DiskCall,
    number
  >
  #capacityBytes: number | undefined
  #own: Mount
  volume = new Volume()

  constructor(options: SimDiskOptions) {
    this.#clock = options.clock
    this.#random = createSimRandom(`disk/${options.random.next()}`)
    this.#latency = { ...LATENCY, ...options.latency }
    this.#capacityBytes = options.capacityBytes
    for (const fault of options.faults ?? []) this.#faults.arm(fault)
    this.#own = this.#mount()
  }

  get random(): SimRandom {
    return this.#random
  }

  mount(): DiskMount {
    const mount = this.#mount()
    return { disk: mount, kill: () => this.#end(mount) }
  }

  crash(): void {
    this.#endAll()
    this.volume.crash(this.#random)
  }

  inject(fault: DiskFault): ArmedFault {
    return this.#faults.arm(fault)
  }

  repair(): void {
    this.#faults.clear()
    this.#capacityBytes = undefined
  }

  limitFree(bytes: number | undefined): void {
    this.#capacityBytes = bytes === undefined ? undefined : this.#usedBytes() + bytes
  }

  rot(path: string, options: { position?: number; bits?: number } = {}): void {
    const node = this.volume.find(path)
    if (!(node instanceof FileNode) || node.content.size === 0) {
      throw diskErrors.create('DISK_NOT_FOUND', { path })
    }
    for (let bit = 0; bit < (options.bits ?? 1); bit++) {
      const position = options.position ?? this.#random.integer(node.content.size)
      const mask = 1 << this.#random.integer(8)
      for (const content of [node.content, node.durable]) {
        const byte = new Uint8Array(1)
        if (content.read(byte, 0, 1, position) === 0) continue
        content.write(
          position,
          byte.map(value => value ^ mask),
        )
      }
    }
  }

  calls(): Readonly<Record<DiskCall, number>> {
    return { ...this.#calls }
  }

  resetCalls(): void {
    for (const call of DISK_CALLS) this.#calls[call] = 0
  }

  paths(): readonly string[] {
    return this.volume
      .files()
      .map(file => file.path)
      .sort()
  }

  peek(path: string): Uint8Array | undefined {
    const node = this.volume.find(path)
    return node instanceof FileNode ? node.content.bytes() : undefined
  }

  peekDurable(path: string): Uint8Array | undefined {
    return this.volume.durableContent(path)?.bytes()
  }

  place(path: string, bytes: Uint8Array): void {
    const parts = path.split('/').slice(0, -1)
    const parents = parts.map((_, index) => parts.slice(0, index + 1).join('/'))
    this.volume.makeDirectory(parts.join('/'))
    this.volume.remove(path)
    const node = this.volume.create(path)
    // A Buffer's own slice is a view.
    node.write(0, new Uint8Array(bytes))
    node.syncUpTo(node.mark())
    for (const parent of ['', ...parents]) this.volume.syncDirectory(parent)
  }

  snapshot(): DiskSnapshot {
    return { volume: this.volume.copy() }
  }

  restore(snapshot: DiskSnapshot): void {
    this.#endAll()
    this.volume = snapshot.volume.copy()
  }

  open = (path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> =>
    this.#own.open(path, mode)
  list = (directory: string): Promise<readonly string[]> => this.#own.list(directory)
  makeDirectory = (directory: string): Promise<void> => this.#own.makeDirectory(directory)
  rename = (from: string, to: string): Promise<void> => this.#own.rename(from, to)
  remove = (path: string): Promise<void> => this.#own.remove(path)
  syncDirectory = (directory: string): Promise<void> => this.#own.syncDirectory(directory)
  sizeOf = (path: string): Promise<number | undefined> => this.#own.sizeOf(path)
  freeBytes = (): Promise<number> => this.#own.freeBytes()

  freeNow(): number {
    if (this.#capacityBytes === undefined) return UNLIMITED_BYTES
    return Math.max(0, this.#capacityBytes - this.#usedBytes())
  }

  /** Starts a call: counts it, lets time pass, then applies it or lets a fault strike. */
  start<T>(mount: Mount, call: DiskCall, path: string, effect: Effect<T>): Promise<T> {
    if (!mount.isAlive) return new Promise<T>(() => undefined)
    this.#calls[call] += 1
    const fault = this.#faults.strike(call, path)
    const [fromMs, toMs] = this.#latency[LATENCY_OF[call] ?? 'namesMs']
    const extraMs = fault?.effect === 'slow' ? (fault.slowMs ?? 0) : 0
    const delayMs = this.#random.between(fromMs, toMs) + extraMs
    const due = new Promise<void>(resolve => {
      mount.inFlight.add(effect)
      this.#clock.after(delayMs, () => {
        if (mount.inFlight.delete(effect)) resolve()
      })
    })
    return due.then(() => conclude(call, path, effect, fault))
  }

  #mount(): Mount {
    const mount = new Mount(this)
    this.#mounts.add(mount)
    return mount
  }

  #end(mount: Mount): void {
    if (!mount.isAlive) return
    mount.isAlive = false
    this.#mounts.delete(mount)
    for (const flight of mount.inFlight) this.#interrupt(flight)
    mount.inFlight.clear()
    if (mount === this.#own) this.#own = this.#mount()
  }

  #endAll(): void {
    for (const mount of [...this.#mounts]) this.#end(mount)
  }

  #interrupt(flight: Effect<unknown>): void {
    const fate = this.#random.integer(3)
    if (fate === 0) return
    try {
      if (fate === 1 && flight.partly !== undefined) flight.partly()
      else flight.apply()
    } catch {
      // The call would have been refused; its process is not there to hear it.
    }
  }

  #usedBytes(): number {
    return this.volume.files().reduce((sum, file) => sum + file.node.content.allocatedBytes, 0)
  }
}

const LATENCY_OF: Partial<Record<DiskCall, keyof DiskLatency>> = {
  read: 'readMs',
  write: 'writeMs',
  sync: 'syncMs',
  syncDirectory: 'syncMs',
}

function conclude<T>(
  call: DiskCall,
  path: string,
  effect: Effect<T>,
  fault: DiskFault | undefined,
): T {
  if (fault === undefined || fault.effect === 'slow') return effect.apply()
  if (fault.effect === 'full') throw diskErrors.create('DISK_FULL', { path, operation: call })
  if (fault.effect === 'applied') effect.apply()
  if (fault.effect === 'short') effect.partly?.(fault.bytes)
  if (fault.effect === 'drop') effect.drop?.()
  throw refused(call, path, `simulated fault (${fault.effect})`)
}

class Mount implements Disk {
  readonly #disk: MemoryDisk
  readonly inFlight = new Set<Effect<unknown>>()
  isAlive = true

  constructor(disk: MemoryDisk) {
    this.#disk = disk
  }

  open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    return this.#names<DiskFile>('open', path, volume => {
      const found = volume.look('open', path)
      if (found === undefined && mode === 'read') {
        throw diskErrors.create('DISK_NOT_FOUND', { path, operation: 'open' })
      }
      if (found !== undefined && mode === 'create') {
        throw diskErrors.create('DISK_EXISTS', { path, operation: 'open' })
      }
      if (found instanceof DirectoryNode) throw refused('open', path, 'it is a directory')
      const node = found ?? volume.create(path)
      return new MemoryFile(this.#disk, this, node, path, { isWritable: mode !== 'read' })
    })
  }

  list(directory: string): Promise<readonly string[]> {
    return this.#names('list', directory, volume => {
      const node = volume.look('list', directory)
      if (node instanceof FileNode) throw refused('list', directory, 'it is not a directory')
      return node === undefined ? [] : [...node.entries.keys()].sort()
    })
  }

  makeDirectory(directory: string): Promise<void> {
    return this.#names('makeDirectory', directory, volume => volume.makeDirectory(directory))
  }

  async rename(from: string, to: string): Promise<void> {
    checkPath('rename', to)
    await this.#names('rename', from, volume => volume.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.#names('remove', path, volume => {
      if (path === '') throw refused('remove', path, 'the root itself is not removed')
      volume.remove(path)
    })
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#names('syncDirectory', directory, volume => volume.syncDirectory(directory))
  }

  sizeOf(path: string): Promise<number | undefined> {
    return this.#names('sizeOf', path, volume => {
      const node = volume.look('sizeOf', path)
      return node instanceof DirectoryNode ? PAGE_BYTES : node?.content.size
    })
  }

  freeBytes(): Promise<number> {
    return this.#names('freeBytes', '', () => this.#disk.freeNow())
  }

  async #names<T>(call: DiskCall, path: string, apply: (volume: Volume) => T): Promise<T> {
    checkPath(call, path)
    return await this.#disk.start(this, call, path, { apply: () => apply(this.#disk.volume) })
  }
}

class MemoryFile implements DiskFile {
  readonly #disk: MemoryDisk
  readonly #mount: Mount
  readonly #node: FileNode
  readonly #path: string
  readonly #isWritable: boolean
  #inFlight = 0
  #isClosed = false
  #onIdle: (() => void) | undefined

  constructor(
    disk: MemoryDisk,
    mount: Mount,
    node: FileNode,
    path: string,
    options: { isWritable: boolean },
  ) {
    this.#disk = disk
    this.#mount = mount
    this.#node = node
    this.#path = path
    this.#isWritable = options.isWritable
  }

  read(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#call('read', isInside(target, offset, length, position), {
      apply: () => this.#node.content.read(target, offset, length, position),
    })
  }

  write(source: Uint8Array, offset: number, length: number, position: number): Promise<void> {
    const isPossible = this.#isWritable && isInside(source, offset, length, position)
    const given = source.subarray(offset, offset + length)
    // A copy: the slice of a Buffer is a view, and callers may reuse theirs after the call.
    const bytes = new Uint8Array(given)
    const put = (count: number): void => {
      if (Buffer.compare(bytes, given) !== 0) {
        throw simErrors.create('SIM_BUFFER_CHANGED', { path: this.#path, position })
      }
      const room = this.#roomFor(position, count)
      this.#node.write(position, bytes.subarray(0, room))
      if (room < count) {
        throw diskErrors.create('DISK_FULL', { path: this.#path, operation: 'write' })
      }
    }
    return this.#call('write', isPossible, {
      apply: () => put(length),
      partly: count => put(Math.min(count ?? this.#disk.random.integer(length), length)),
    })
  }

  sync(): Promise<void> {
    const mark = this.#node.mark()
    return this.#call('sync', true, {
      apply: () => this.#node.syncUpTo(mark),
      drop: () => this.#node.dropUpTo(mark),
    })
  }

  truncate(size: number): Promise<void> {
    return this.#call('truncate', this.#isWritable && size >= 0, {
      apply: () => this.#node.truncate(size),
    })
  }

  size(): Promise<number> {
    return this.#call('size', true, { apply: () => this.#node.content.size })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#inFlight > 0) await new Promise<void>(idle => (this.#onIdle = idle))
    await this.#disk.start(this.#mount, 'close', this.#path, { apply: () => undefined })
  }

  /** How many of `length` bytes the volume has room for there. */
  #roomFor(position: number, length: number): number {
    const free = this.#disk.freeNow()
    if (this.#node.content.missingBytes(position, length) <= free) return length
    let room = 0
    // Space is taken block by block, so the write gets as far as the last block that was free.
    for (let end = PAGE_BYTES - (position % PAGE_BYTES); end < length; end += PAGE_BYTES) {
      if (this.#node.content.missingBytes(position, end) > free) break
      room = end
    }
    return room
  }

  async #call<T>(call: DiskCall, isPossible: boolean, effect: Effect<T>): Promise<T> {
    if (this.#isClosed) throw refused(call, this.#path, 'the file is closed')
    if (!isPossible) throw refused(call, this.#path, 'the arguments do not fit the file')
    this.#inFlight += 1
    try {
      return await this.#disk.start(this.#mount, call, this.#path, effect)
    } finally {
      this.#inFlight -= 1
      if (this.#inFlight === 0) this.#onIdle?.()
    }
  }
}

function isInside(buffer: Uint8Array, offset: number, length: number, position: number): boolean {
  return position >= 0 && offset >= 0 && length >= 0 && offset + length <= buffer.length
}

function checkPath(operation: string, path: string): void {
  if (path === '') return
  const isPlain = path.split('/').every(part => part !== '' && part !== '.' && part !== '..')
  if (!isPlain || /[\\\0]/.test(path)) {
    throw refused(operation, path, 'it is not a plain relative path under the root')
  }
}

function refused(operation: string, path: string, reason: string): Error {
  return diskErrors.create('DISK_FAILED', { operation, path, reason })
}
