/**
 * What a simulated volume holds, twice: as running code sees it and as it would be after a loss of
 * power. Between the two lie, per file, the writes since the last sync and, for the names, the
 * changes since the last sync of their directory.
 *
 * The model of a crash, from what file systems are known to do (Pillai and others, "All File
 * Systems Are Not Created Equal", OSDI 2014): nothing synced is lost. Of the unsynced writes of a
 * file any subset of 512-byte sectors may survive in any order, or a prefix torn at any byte; the
 * size may grow although the data did not arrive, which then reads as zeros. Each change of names
 * is atomic, and survives only together with the earlier changes of the same names.
 */
import { diskErrors } from '@millrace/core'
import type { SimRandom } from '../random.ts'
import { Content } from './content.ts'

const SECTOR_BYTES = 512

/** A change of a file's bytes that is not durable. */
type DataChange =
  | { readonly sequence: number; readonly position: number; readonly bytes: Uint8Array }
  | { readonly sequence: number; readonly truncatedTo: number }

/** A file, named or not. */
export class FileNode {
  content = new Content()
  durable = new Content()
  unsynced: DataChange[] = []
  #sequence = 0

  write(position: number, bytes: Uint8Array): void {
    this.content.write(position, bytes)
    this.unsynced.push({ sequence: ++this.#sequence, position, bytes })
  }

  truncate(size: number): void {
    this.content.truncate(size)
    this.unsynced.push({ sequence: ++this.#sequence, truncatedTo: size })
  }

  /** Marks the changes made so far; a sync that starts now covers these and no later ones. */
  mark(): number {
    return this.#sequence
  }

  /** Makes the changes up to the mark durable. */
  syncUpTo(mark: number): void {
    for (const change of this.#take(mark)) {
      if ('bytes' in change) this.durable.write(change.position, change.bytes)
      else this.durable.truncate(change.truncatedTo)
    }
  }

  /** Forgets the changes up to the mark: they stay readable and never become durable. */
  dropUpTo(mark: number): void {
    this.#take(mark)
  }

  /** Puts the file in a state that a loss of power may leave. */
  crash(random: SimRandom): void {
    const changes = this.#take(Infinity)
    const fate = random.pick(['none', 'all', 'prefix', 'sectors'] as const)
    const whole = fate === 'all' ? changes.length : random.integer(changes.length + 1)
    if (fate === 'prefix' || fate === 'all') {
      for (const change of changes.slice(0, whole)) keep(this.durable, change)
      const torn = changes[whole]
      if (torn !== undefined && 'bytes' in torn) {
        const length = random.integer(torn.bytes.length + 1)
        const isAligned = random.chance(0.5)
        const end = isAligned ? length - ((torn.position + length) % SECTOR_BYTES) : length
        this.durable.write(torn.position, torn.bytes.subarray(0, Math.max(0, end)))
      }
    }
    if (fate === 'sectors') keepSectors(this.durable, changes, random)
    this.content = this.durable.copy()
  }

  copy(): FileNode {
    const node = new FileNode()
    node.content = this.content.copy()
    node.durable = this.durable.copy()
    node.unsynced = [...this.unsynced]
    node.#sequence = this.#sequence
    return node
  }

  #take(mark: number): readonly DataChange[] {
    const taken = this.unsynced.filter(change => change.sequence <= mark)
    this.unsynced = this.unsynced.filter(change => change.sequence > mark)
    return taken
  }
}

function keep(target: Content, change: DataChange): void {
  if ('bytes' in change) target.write(change.position, change.bytes)
  else target.truncate(change.truncatedTo)
}

function keepSectors(target: Content, changes: readonly DataChange[], random: SimRandom): void {
  const chance = random.next()
  for (const change of changes) {
    if (!('bytes' in change)) {
      if (random.chance(chance)) target.truncate(change.truncatedTo)
      continue
    }
    const end = change.position + change.bytes.length
    for (let from = change.position; from < end;) {
      const to = Math.min(end, from - (from % SECTOR_BYTES) + SECTOR_BYTES)
      const part = change.bytes.subarray(from - change.position, to - change.position)
      if (random.chance(chance)) target.write(from, part)
      from = to
    }
    if (end > target.size && random.chance(0.5)) target.truncate(end)
  }
}

/** A directory. */
export class DirectoryNode {
  entries = new Map<string, Node>()
  durable = new Map<string, Node>()
}

export type Node = FileNode | DirectoryNode

/** One entry of a directory set to a node, or removed. */
interface EntryChange {
  readonly directory: DirectoryNode
  readonly name: string
  readonly node: Node | undefined
}

/** The files and directories of a simulated volume; no time passes here. */
export class Volume {
  #root = new DirectoryNode()
  #unsynced: (readonly EntryChange[])[] = []

  /** The node at a path, undefined when missing; '' is the root. */
  find(path: string): Node | undefined {
    let node: Node | undefined = this.#root
    for (const part of path === '' ? [] : path.split('/')) {
      if (!(node instanceof DirectoryNode)) return undefined
      node = node.entries.get(part)
    }
    return node
  }

  /** The same, but a file in the place of a directory is refused, as by a file system (ENOTDIR). */
  look(operation: string, path: string): Node | undefined {
    const parts = path.split('/')
    for (let length = 1; length < parts.length; length++) {
      if (this.find(parts.slice(0, length).join('/')) instanceof FileNode) {
        const reason = 'a part of the path is not a directory'
        throw diskErrors.create('DISK_FAILED', { operation, path, reason })
      }
    }
    return this.find(path)
  }

  create(path: string): FileNode {
    const { directory, name } = this.#place('open', path)
    const node = new FileNode()
    this.#change([{ directory, name, node }])
    return node
  }

  makeDirectory(path: string): void {
    this.look('makeDirectory', path)
    let made = ''
    for (const part of path === '' ? [] : path.split('/')) {
      made = made === '' ? part : `${made}/${part}`
      const found = this.find(made)
      if (found instanceof FileNode) throw diskErrors.create('DISK_EXISTS', { path: made })
      if (found !== undefined) continue
      const { directory, name } = this.#place('makeDirectory', made)
      this.#change([{ directory, name, node: new DirectoryNode() }])
    }
  }

  rename(from: string, to: string): void {
    // In the order in which a file system looks, so that it refuses for the same reason.
    const node = this.look('rename', from)
    const source = this.#place('rename', from)
    const replaced = this.look('rename', to)
    const target = this.#place('rename', to)
    if (node === undefined) throw diskErrors.create('DISK_NOT_FOUND', { path: from })
    const isSameKind =
      replaced === undefined || replaced instanceof DirectoryNode === node instanceof DirectoryNode
    const isFull = replaced instanceof DirectoryNode && replaced.entries.size > 0
    if (!isSameKind || isFull || `${to}/`.startsWith(`${from}/`)) {
      if (from === to) return
      const reason = 'the target cannot be replaced'
      throw diskErrors.create('DISK_FAILED', { operation: 'rename', path: from, reason })
    }
    this.#change([
      { ...source, node: undefined },
      { ...target, node },
    ])
  }

  remove(path: string): void {
    const node = this.look('remove', path)
    if (node === undefined) return
    if (node instanceof DirectoryNode) {
      for (const name of [...node.entries.keys()]) this.remove(`${path}/${name}`)
    }
    this.#change([{ ...this.#place('remove', path), node: undefined }])
  }

  /** Makes the names in a directory durable, with the earlier changes that these rest on. */
  syncDirectory(path: string): void {
    const directory = this.find(path)
    if (!(directory instanceof DirectoryNode)) {
      throw diskErrors.create('DISK_NOT_FOUND', { path })
    }
    const wanted = new Set<string>()
    const kept: (readonly EntryChange[])[] = []
    const isWanted = (change: EntryChange): boolean =>
      change.directory === directory || wanted.has(this.#key(change))
    for (const changes of this.#unsynced.reverse()) {
      if (!changes.some(isWanted)) continue
      for (const change of changes) wanted.add(this.#key(change))
      kept.push(changes)
    }
    this.#unsynced.reverse()
    for (const changes of kept.reverse()) makeDurable(changes)
    this.#unsynced = this.#unsynced.filter(changes => !kept.includes(changes))
  }

  /** Puts the volume in a state that a loss of power may leave. */
  crash(random: SimRandom): void {
    const chance = random.pick([0, 1, random.next()])
    const lost = new Set<string>()
    for (const changes of this.#unsynced) {
      const keys = changes.map(change => this.#key(change))
      if (random.chance(chance) && !keys.some(key => lost.has(key))) makeDurable(changes)
      else for (const key of keys) lost.add(key)
    }
    this.#unsynced = []
    for (const { node } of this.#walk('durable')) {
      if (node instanceof FileNode) node.crash(random)
      else node.entries = new Map(node.durable)
    }
  }

  /** Paths and nodes as running code sees them, in order of creation within a directory. */
  files(): readonly { path: string; node: FileNode }[] {
    return this.#walk('entries').flatMap(({ path, node }) =>
      node instanceof FileNode ? [{ path, node }] : [],
    )
  }

  /** The content that would certainly survive a loss of power; undefined when the name would not. */
  durableContent(path: string): Content | undefined {
    const found = this.#walk('durable').find(entry => entry.path === path)
    return found?.node instanceof FileNode ? found.node.durable : undefined
  }

  copy(): Volume {
    const copies = new Map<Node, Node>()
    const copyOf = (node: Node): Node => {
      const known = copies.get(node)
      if (known !== undefined) return known
      if (node instanceof FileNode) {
        copies.set(node, node.copy())
        return copies.get(node) as Node
      }
      const copy = new DirectoryNode()
      copies.set(node, copy)
      for (const [name, child] of node.entries) copy.entries.set(name, copyOf(child))
      for (const [name, child] of node.durable) copy.durable.set(name, copyOf(child))
      return copy
    }
    const volume = new Volume()
    volume.#root = copyOf(this.#root) as DirectoryNode
    volume.#unsynced = this.#unsynced.map(changes =>
      changes.map(change => ({
        directory: copyOf(change.directory) as DirectoryNode,
        name: change.name,
        node: change.node === undefined ? undefined : copyOf(change.node),
      })),
    )
    return volume
  }

  #place(operation: string, path: string): { directory: DirectoryNode; name: string } {
    const cut = path.lastIndexOf('/')
    const name = path.slice(cut + 1)
    if (name === '') {
      const reason = 'the root itself is not changed'
      throw diskErrors.create('DISK_FAILED', { operation, path, reason })
    }
    const directory = this.find(cut < 0 ? '' : path.slice(0, cut))
    if (directory instanceof DirectoryNode) return { directory, name }
    throw diskErrors.create('DISK_NOT_FOUND', { path })
  }

  #change(changes: readonly EntryChange[]): void {
    for (const { directory, name, node } of changes) {
      if (node === undefined) directory.entries.delete(name)
      else directory.entries.set(name, node)
    }
    this.#unsynced.push(changes)
  }

  #numbers = new WeakMap<DirectoryNode, number>()
  #numbered = 0

  #key(change: EntryChange): string {
    let number = this.#numbers.get(change.directory)
    if (number === undefined) this.#numbers.set(change.directory, (number = ++this.#numbered))
    return `${number}/${change.name}`
  }

  #walk(side: 'entries' | 'durable'): readonly { path: string; node: Node }[] {
    const found: { path: string; node: Node }[] = [{ path: '', node: this.#root }]
    for (let at = 0; at < found.length; at++) {
      const { path, node } = found[at] as { path: string; node: Node }
      if (node instanceof FileNode) continue
      for (const [name, child] of node[side]) {
        found.push({ path: path === '' ? name : `${path}/${name}`, node: child })
      }
    }
    return found
  }
}

function makeDurable(changes: readonly EntryChange[]): void {
  for (const { directory, name, node } of changes) {
    if (node === undefined) directory.durable.delete(name)
    else directory.durable.set(name, node)
  }
}
