/** Files of one JSON object a line. */
import { closeSync, createReadStream, fsyncSync, openSync, writeSync } from 'node:fs'
import { exportErrors } from './errors.ts'
import { readRecord, type ExportedRecord } from './record.ts'

const WRITE_CHARACTERS = 256 * 1024
/** A record is smaller than a request, with room for what surrounds its data. */
const LINE_BYTES_MAX = 64 * 1024 * 1024
const NEWLINE = 10

/** Takes the records of one partition in order. */
export interface RecordWriter {
  add(record: ExportedRecord): void
  /** Resolves when all of them are on disk. */
  finish(): Promise<void>
}

/** Writes a new file of lines. */
export function openLineWriter(path: string): RecordWriter {
  const file = openSync(path, 'wx', 0o600)
  let text = ''
  const flush = (): void => {
    writeSync(file, text)
    text = ''
  }
  return {
    add(record) {
      text += `${JSON.stringify(record)}\n`
      if (text.length >= WRITE_CHARACTERS) flush()
    },
    finish() {
      flush()
      fsyncSync(file)
      closeSync(file)
      return Promise.resolve()
    },
  }
}

/** The records of a file of lines, `name` in what is refused. Throws EXPORT_DAMAGED. */
export async function* readRecordLines(
  path: string,
  name: string,
): AsyncGenerator<ExportedRecord, void> {
  let number = 0
  for await (const line of splitLines(createReadStream(path), name)) {
    number += 1
    const place = { file: name, place: `line ${number}` }
    yield readRecord(parseLine(line, place), place)
  }
}

/** Lines of bytes that end in a newline each. Throws EXPORT_DAMAGED for one without end or limit. */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<string, void> {
  let rest: Buffer[] = []
  let restBytes = 0
  let lines = 0
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let start = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      lines += 1
      yield Buffer.concat([...rest, bytes.subarray(start, end)]).toString('utf8')
      rest = []
      restBytes = 0
      start = end + 1
    }
    // A copy: what comes from a stream may be used again.
    if (start < bytes.length) rest.push(Buffer.from(bytes.subarray(start)))
    restBytes += bytes.length - start
    if (restBytes > LINE_BYTES_MAX) refuse(`a line is longer than ${LINE_BYTES_MAX} bytes`)
  }
  if (restBytes > 0) refuse('it ends within a line')
  function refuse(reason: string): never {
    throw exportErrors.create('EXPORT_DAMAGED', { file: name, place: `line ${lines + 1}`, reason })
  }
}

/** The value of a line. Throws EXPORT_DAMAGED. */
export function parseLine(
  line: string,
  place: { readonly file: string; readonly place: string },
): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    const reason = 'it is not JSON'
    throw exportErrors.create('EXPORT_DAMAGED', { ...place, reason }, error)
  }
}
