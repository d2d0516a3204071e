/** A temporary copy of a repository, to plant faults in. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** A folder with the shape of this repository that is gone after `close`. */
export interface RepositoryCopy {
  readonly root: string
  /** Writes a file, relative to the root, with its folders. */
  write(path: string, text: string): void
  close(): void
}

const origin = dirname(import.meta.dirname)

/**
 * Creates a folder with the given files and workspaces. The installed packages of this repository are
 * linked into it, the workspaces are its own.
 */
export function createRepositoryCopy(options: {
  readonly files: Readonly<Record<string, string>>
  /** Paths of this repository that are copied as they are. */
  readonly copied: readonly string[]
}): RepositoryCopy {
  const root = mkdtempSync(join(tmpdir(), 'millrace-copy-'))
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  for (const path of options.copied) {
    if (!existsSync(join(origin, path))) continue
    cpSync(join(origin, path), join(root, path), { recursive: true })
  }
  for (const [path, text] of Object.entries(options.files)) write(path, text)
  linkModules(root)
  return { root, write, close: () => rmSync(root, { recursive: true, force: true }) }
}

function linkModules(root: string): void {
  const from = join(origin, 'node_modules')
  const to = join(root, 'node_modules')
  mkdirSync(join(to, '@millrace'), { recursive: true })
  const workspaces = readdirSync(join(root, 'packages'))
  for (const name of readdirSync(from)) {
    if (name === '@millrace' || name === 'millrace' || name === '.cache') continue
    symlinkSync(join(from, name), join(to, name))
  }
  for (const name of workspaces) {
    const target = join(root, 'packages', name)
    symlinkSync(target, name === 'millrace' ? join(to, name) : join(to, '@millrace', name))
  }
}
