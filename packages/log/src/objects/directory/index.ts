/**
 * An object store in a directory of the real file system: an object is a file.
 *
 * An object is written aside, synced and renamed, then its directory is synced: a crash leaves it
 * whole or not at all, and perhaps a file `<name>.<process>.part`, which is no object. Only the
 * owner may read what is written here: a backup is as private as the data directory.
 */
import { lstat, mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { logErrors } from '../../errors.ts'
import { checkObjectName, unavailable, type ObjectStore, type StoredObject } from '../objects.ts'

const PRIVATE_FOLDER = 0o700
const PRIVATE_FILE = 0o600
const REFUSALS = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR']

/** Opens the object store in a directory, which is made when it is missing. */
export async function openDirectoryStore(directory: string): Promise<ObjectStore> {
  const store = new DirectoryStore(resolve(directory))
  await store.begin()
  return store
}

class DirectoryStore implements ObjectStore {
  readonly place: string
  /** Folders that are known to be there, with their names durable. */
  readonly #folders = new Set<string>()

  constructor(root: string) {
    this.place = root
  }

  begin(): Promise<void> {
    return this.#call('open', () => this.#makeFolder(this.place))
  }

  put(name: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.place, checkObjectName(name))
    return this.#call('put', async () => {
      await this.#makeFolder(dirname(path))
      const aside = `${path}.${process.pid}.part`
      const file = await open(aside, 'w', PRIVATE_FILE)
      try {
        await file.writeFile(bytes)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(aside, path)
      await syncFolder(dirname(path))
    })
  }

  get(name: string): Promise<Uint8Array | undefined> {
    const path = join(this.place, checkObjectName(name))
    return this.#call('get', async () => {
      try {
        return new Uint8Array(await readFile(path))
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    })
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const names = await this.#call('list', () => listFiles(join(this.place, prefix)))
    for (const name of names) {
      const bytes = await this.#call('list', async () => {
        try {
          return (await lstat(join(this.place, prefix, name))).size
        } catch (error) {
          if (isMissing(error)) return undefined
          throw error
        }
      })
      if (bytes !== undefined) yield { name: prefix + name, bytes }
    }
  }

  remove(name: string): Promise<void> {
    const path = join(this.place, checkObjectName(name))
    return this.#call('remove', async () => {
      await rm(path, { force: true })
      if (this.#folders.has(dirname(path))) await syncFolder(dirname(path))
    })
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return
    const first = await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER })
    for (let made = folder; first !== undefined && made.length >= first.length;) {
      made = dirname(made)
      await syncFolder(made)
    }
    this.#folders.add(folder)
  }

  async #call<T>(operation: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException
      if (!REFUSALS.includes(code)) throw unavailable(this, operation, error)
      const details = { place: this.place, operation, reason: message }
      throw logErrors.create('OBJECTS_REFUSED', details, error)
    }
  }
}

/** Files below a folder, relative to it, sorted; what a crash left half written is none. */
async function listFiles(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true, recursive: true })
    return entries
      .filter(entry => entry.isFile() && !entry.name.endsWith('.part'))
      .map(entry => join(entry.parentPath, entry.name).slice(folder.replace(/\/$/, '').length + 1))
      .sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
