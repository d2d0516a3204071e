import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { manifestText, parseManifest, type Manifest } from './manifest.ts'

const manifest: Manifest = {
  id: '20260105t100000000z',
  takenMs: 1,
  parent: null,
  app: 'clips',
  origin: 'o',
  term: 0,
  dataFormat: 2,
  unit: 7,
  ingestTimeMs: Number.NEGATIVE_INFINITY,
  position: new Map([['clicks/0', 7]]),
  files: [{ path: 'log/journal/1.jnl', bytes: 9, stamp: 's', chunks: ['ab'.repeat(32)] }],
}

/** The manifest with other content, under a checksum that is right. */
function sealed(change: (line: string) => string): Buffer {
  const line = change(manifestText(manifest).split('\n')[1] as string)
  return Buffer.from(`${createHash('sha256').update(line).digest('hex')}\n${line}\n`)
}

const refusalOf = (bytes: Buffer): string => {
  try {
    parseManifest('m', bytes)
    return 'taken'
  } catch (error) {
    assert.ok(isError(error))
    return `${error.code}: ${error.message}`
  }
}

test('a manifest comes back as it was stored', () => {
  assert.deepEqual(parseManifest('m', Buffer.from(manifestText(manifest))), manifest)
})

test('a file of a manifest cannot lie outside of the directory that is restored', () => {
  for (const path of [
    '../millrace.json',
    'log/../../x',
    '/etc/passwd',
    'log//x',
    '',
    '.',
    'a/.b',
  ]) {
    const said = refusalOf(sealed(line => line.replace('log/journal/1.jnl', path)))
    assert.match(said, /^BACKUP_DAMAGED: .*files is not what it should be/, path)
  }
})

test('what is no manifest is refused with what is wrong, also when its checksum is right', () => {
  assert.match(refusalOf(sealed(() => '{"format":')), /^BACKUP_DAMAGED: .*it is not JSON/)
  assert.match(refusalOf(sealed(() => 'null')), /^BACKUP_DAMAGED: .*it is no JSON object/)
  for (const change of [
    (line: string) => line.replace('"unit":7', '"unit":null'),
    (line: string) => line.replace('"bytes":9', '"bytes":9e9'),
    (line: string) => line.replace('ab'.repeat(32), 'ab'),
    (line: string) => line.replace(/"files":.*\]/, '"files":[1'),
    (line: string) => line.replace('"parent":null', '"parent":1'),
  ]) {
    assert.match(refusalOf(sealed(change)), /^BACKUP_DAMAGED/)
  }
})
