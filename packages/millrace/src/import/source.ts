/**
 * What an import reads: a file, a folder, or a zip archive; each file plain or packed by gzip.
 *
 * Packing is recognised by the first bytes, not by names. Nothing is ever unpacked to a path that
 * an archive names: entries are streamed. Memory: the buffers of the streams. An archive that
 * expands beyond all reason is refused (IMPORT_LIMIT_EXCEEDED), a damaged one too
 * (IMPORT_ARCHIVE_INVALID), in both cases before anything is written to the log, because an import
 * reads and sorts everything first.
 */
import { createReadStream } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { importErrors } from './errors.ts'
import { counted, identityOf, unpack, unpackedName, type ImportFile } from './import-file.ts'
import type { ImportLimits } from './limits.ts'
import { openArchive } from './zip.ts'

const HEAD_BYTES = 65_536

/** Lists what lies at `path`: the files of a folder (not of its subfolders), the entries of an archive, or one file. */
export async function listSources(
  path: string,
  limits: ImportLimits,
): Promise<{ readonly files: readonly ImportFile[]; readonly isSingle: boolean }> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw importErrors.create('IMPORT_SOURCE_MISSING', { path, reason: reasonOf(error) }, error)
  })
  if (info.isDirectory()) {
    const entries = await readdir(path, { withFileTypes: true })
    const names = entries.filter(entry => !entry.isDirectory()).map(entry => entry.name)
    if (names.length > limits.filesMax) {
      const reason = `the folder holds ${names.length} files, at most ${limits.filesMax} are looked at`
      throw importErrors.create('IMPORT_LIMIT_EXCEEDED', { file: path, reason })
    }
    const files: ImportFile[] = []
    for (const name of names.sort()) {
      const found = await openFile(join(path, name), limits)
      if (found !== undefined) files.push(found.file)
    }
    return { files, isSingle: false }
  }
  const found = await openFile(path, limits)
  if (found === undefined) {
    throw importErrors.create('IMPORT_SOURCE_MISSING', { path, reason: 'it is not a file' })
  }
  if (!found.isArchive) return { files: [found.file], isSingle: true }
  return { files: await openArchive(path, found.file, limits), isSingle: false }
}

async function openFile(
  path: string,
  limits: ImportLimits,
): Promise<{ file: ImportFile; isArchive: boolean } | undefined> {
  const label = basename(path)
  try {
    const handle = await open(path, 'r')
    try {
      const info = await handle.stat()
      if (!info.isFile()) return undefined
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
      const head = buffer.subarray(0, bytesRead)
      const file: ImportFile = {
        name: unpackedName(label),
        label,
        bytes: info.size,
        identity: identityOf([info.size, info.mtimeMs], head),
        read: onBytes => unpack(counted(createReadStream(path), onBytes), label, limits),
      }
      return { file, isArchive: isZip(head) }
    } finally {
      await handle.close()
    }
  } catch (error) {
    const reason = reasonOf(error as NodeJS.ErrnoException)
    throw importErrors.create('IMPORT_SOURCE_MISSING', { path, reason }, error)
  }
}

/** A zip archive begins with its first entry, or, when it has none, with its directory's end. */
function isZip(head: Buffer): boolean {
  return head.length > 4 && [0x04034b50, 0x06054b50].includes(head.readUInt32LE(0))
}

function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'it does not exist'
  if (error.code === 'EACCES' || error.code === 'EPERM') return 'it may not be read'
  return error.message
}
