/** A file to import, and its bytes: unpacked, with limits, whatever it lies in. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { importErrors } from './errors.ts'
import type { ImportLimits } from './limits.ts'

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

/** A name as the file would have unpacked. */
export function unpackedName(name: string): string {
  return name.replace(/\.gz$/i, '')
}

/** A short fingerprint of facts and bytes. */
export function identityOf(facts: readonly (string | number)[], bytes: Uint8Array): string {
  return createHash('sha256').update(facts.join('\n')).update(bytes).digest('hex').slice(0, 32)
}

/** Passes chunks on and tells how many bytes they were. */
export async function* counted(
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
