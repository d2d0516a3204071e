/**
 * What an import reads: a file, a folder, or a zip archive; each file plain or packed by gzip.
 *
 * Packing is recognised by the first bytes, not by names. Nothing is ever unpacked to a path that
 * an archive names: entries are streamed. Memory: the buffers of the streams. An archive that
 * expands beyond all reason is refused (IMPORT_LIMIT_EXCEEDED), a damaged one too
 * (IMPORT_ARCHIVE_INVALID), in both cases before anything is written to the log, because an import
 * reads and sorts everything first.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { importErrors } from './errors.ts'
import type { ImportLimits } from './limits.ts'
import { openArchive } from './zip.ts'

/** A file to import. */
export interface ImportFile {
  /** Its name without folders and without `.gz`. */
  readonly name: string
  /** How it is called in messages. */
  readonly label: string
  /** Bytes as they lie there, packed. */
  readonly bytes: number
  /** Tells this file from any other: size, time of change, and a hash of its beginning. */
  readonly identity: string
  /** Its bytes, unpacked; `onBytes` learns how many packed bytes were read. */
  read(onBytes?: (bytes: number) => void): AsyncIterable<Uint8Array>
}

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
      return { file, isArchive: head.length > 4 && head.readUInt32LE(0) === 0x04034b50 }
    } finally {
      await handle.close()
    }
  } catch (error) {
    const reason = reasonOf(error as NodeJS.ErrnoException)
    throw importErrors.create('IMPORT_SOURCE_MISSING', { path, reason }, error)
  }
}

/** A name as the file would have unpacked. */
export function unpackedName(name: string): string {
  return name.replace(/\.gz$/i, '')
}

/** A short fingerprint of facts and bytes. */
export function identityOf(facts: readonly (string | number)[], bytes: Uint8Array): string {
  return createHash('sha256').update(facts.join('\n')).update(bytes).digest('hex').slice(0, 32)
}

async function* counted(
  stream: AsyncIterable<Uint8Array>,
  onBytes: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    onBytes?.(chunk.length)
    yield chunk
  }
}

/**
 * Unpacks gzip and UTF-16 when the first bytes say so; passes anything else through. Refuses
 * damaged and unreasonably expanding input.
 */
export async function* unpack(
  bytes: AsyncIterable<Uint8Array>,
  label: string,
  limits: ImportLimits,
): AsyncGenerator<Uint8Array> {
  let packed = 0
  const input = counted(bytes, count => (packed += count))
  const { head, rest } = await peek(input, 2)
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* asUtf8(rest)
    return
  }
  const source = Readable.from(rest, { objectMode: false })
  const gunzip = createGunzip()
  source.on('error', error => gunzip.destroy(error))
  source.pipe(gunzip)
  let expanded = 0
  try {
    for await (const chunk of asUtf8(gunzip as AsyncIterable<Uint8Array>)) {
      expanded += chunk.length
      assertExpansion(expanded, packed, label, limits)
      yield chunk
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code?.startsWith('Z_') !== true) throw error
    throw importErrors.create('IMPORT_ARCHIVE_INVALID', { file: label, reason: message }, error)
  } finally {
    source.destroy()
    gunzip.destroy()
  }
}

/** Refuses what expands beyond the limits. */
export function assertExpansion(
  expanded: number,
  packed: number,
  label: string,
  limits: ImportLimits,
): void {
  if (expanded <= limits.expandedBytesFree || expanded <= packed * limits.expansionMax) return
  const reason = `${packed} bytes expand to more than ${expanded}; the limit is a factor of ${limits.expansionMax}`
  throw importErrors.create('IMPORT_LIMIT_EXCEEDED', { file: label, reason })
}

/** The first bytes of a stream, and the whole of it. */
async function peek(
  bytes: AsyncIterable<Uint8Array>,
  wanted: number,
): Promise<{ head: Uint8Array; rest: AsyncIterable<Uint8Array> }> {
  const iterator = bytes[Symbol.asyncIterator]()
  const first: Uint8Array[] = []
  let length = 0
  while (length < wanted) {
    const next = await iterator.next()
    if (next.done === true) break
    first.push(next.value)
    length += next.value.length
  }
  const head = Buffer.concat(first)
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      if (head.length > 0) yield head
      for (;;) {
        const next = await iterator.next()
        if (next.done === true) return
        yield next.value
      }
    } finally {
      await iterator.return?.(undefined)
    }
  }
  return { head, rest: whole() }
}

async function* asUtf8(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { head, rest } = await peek(bytes, 2)
  const name =
    head[0] === 0xff && head[1] === 0xfe
      ? 'utf-16le'
      : head[0] === 0xfe && head[1] === 0xff
        ? 'utf-16be'
        : undefined
  if (name === undefined) {
    yield* rest
    return
  }
  const decoder = new TextDecoder(name)
  for await (const chunk of rest) yield Buffer.from(decoder.decode(chunk, { stream: true }))
  yield Buffer.from(decoder.decode())
}

/** The first bytes of a file, unpacked; fewer when it is shorter. */
export async function readHead(file: ImportFile, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of file.read()) {
    parts.push(chunk)
    length += chunk.length
    if (length >= bytesMax) break
  }
  return Buffer.concat(parts).subarray(0, bytesMax)
}

function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'it does not exist'
  if (error.code === 'EACCES' || error.code === 'EPERM') return 'it may not be read'
  return error.message
}
