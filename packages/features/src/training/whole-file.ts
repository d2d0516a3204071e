/** Small files that are there as a whole or not at all, and durable when that is said of them. */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Writes a small file whole, durable when it returns. */
export function writeWhole(path: string, content: string): void {
  const aside = `${path}.part`
  writeFileSync(aside, content)
  syncFile(aside)
  renameSync(aside, path)
  syncFile(dirname(path))
}

/** What was written of a file, or of the names in a folder, is on the disk when it returns. */
export function syncFile(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
