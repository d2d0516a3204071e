/**
 * Zip archives, streamed entry by entry. yauzl checks sizes and refuses names that lead outside;
 * names are used for nothing but recognising a file anyway.
 */
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import yauzl, { type Entry, type ZipFile } from 'yauzl'
import { importErrors } from './errors.ts'
import type { ImportLimits } from './limits.ts'
import {
  assertExpansion,
  identityOf,
  unpack,
  unpackedName,
  type ImportFile,
} from './import-file.ts'

/** The entries of an archive as files. Refuses encrypted and damaged archives. */
export async function openArchive(
  path: string,
  archive: ImportFile,
  limits: ImportLimits,
): Promise<ImportFile[]> {
  const entries = await listEntries(path, archive.label, limits)
  return entries.map(entry => {
    const name = entry.fileName.slice(entry.fileName.lastIndexOf('/') + 1)
    const label = `${archive.label}:${entry.fileName}`
    return {
      name: unpackedName(name),
      label,
      bytes: entry.compressedSize,
      identity: identityOf([archive.identity, entry.fileName, entry.crc32], Buffer.alloc(0)),
      read: onBytes => unpack(readEntry(path, entry, label, limits, onBytes), label, limits),
    }
  })
}

const openZip = promisify<string, yauzl.Options, ZipFile>(yauzl.open)

async function openOrRefuse(path: string, label: string): Promise<ZipFile> {
  try {
    return await openZip(path, { lazyEntries: true, autoClose: false })
  } catch (error) {
    throw invalid(label, error)
  }
}

async function listEntries(path: string, label: string, limits: ImportLimits): Promise<Entry[]> {
  const zip = await openOrRefuse(path, label)
  const entries: Entry[] = []
  try {
    if (zip.entryCount > limits.entriesMax) {
      const reason = `it holds ${zip.entryCount} files, at most ${limits.entriesMax} are looked at`
      throw importErrors.create('IMPORT_LIMIT_EXCEEDED', { file: label, reason })
    }
    await new Promise<void>((resolve, reject) => {
      zip.on('entry', (entry: Entry) => {
        if (!entry.fileName.endsWith('/')) entries.push(entry)
        zip.readEntry()
      })
      zip.on('end', resolve)
      zip.on('error', error => reject(invalid(label, error)))
      zip.readEntry()
    })
  } finally {
    zip.close()
  }
  return entries
}

async function* readEntry(
  path: string,
  entry: Entry,
  label: string,
  limits: ImportLimits,
  onBytes: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  const zip = await openOrRefuse(path, label)
  try {
    const stream = await promisify(zip.openReadStream.bind(zip))(entry)
    let expanded = 0
    let reported = 0
    let sum = 0
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      expanded += chunk.length
      assertExpansion(expanded, entry.compressedSize, label, limits)
      const packed = Math.floor((expanded / entry.uncompressedSize) * entry.compressedSize)
      onBytes?.(packed - reported)
      reported = packed
      sum = crc32(chunk, sum)
      yield chunk
    }
    // yauzl compares sizes only: bytes that changed within an entry may unpack to as many others.
    if (sum !== entry.crc32) {
      const reason = 'its checksum does not fit its content'
      throw importErrors.create('IMPORT_ARCHIVE_INVALID', { file: label, reason })
    }
  } catch (error) {
    throw (error as Error).name === 'MillraceError' ? error : invalid(label, error)
  } finally {
    zip.close()
  }
}

function invalid(label: string, error: unknown): Error {
  return importErrors.create(
    'IMPORT_ARCHIVE_INVALID',
    // yauzl ends some of its messages by a full stop; ours adds one.
    { file: label, reason: (error as Error).message.replace(/\.$/, '') },
    error,
  )
}
