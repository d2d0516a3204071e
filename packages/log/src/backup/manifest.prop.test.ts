/** Manifests are bytes that anybody may have written: what is no manifest is refused, and says so. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import fc from 'fast-check'
import { createMemoryObjectStore } from '../objects/memory/index.ts'
import { raiseFence, readFence } from './fence.ts'
import { CHUNK_BYTES, manifestId, manifestText, parseManifest, type Manifest } from './manifest.ts'

const numRuns = Number(process.env['MILLRACE_PROP_RUNS'] ?? 300)

const file = fc
  .record({
    bytes: fc.nat({ max: 3 * CHUNK_BYTES }),
    path: fc.stringMatching(/^[a-z]{1,9}\/[a-z]{1,9}\.jnl$/),
  })
  .map(({ bytes, path }) => ({
    path,
    bytes,
    stamp: 'ab'.repeat(16),
    chunks: Array.from({ length: Math.ceil(bytes / CHUNK_BYTES) }, () => '0f'.repeat(32)),
  }))

const manifest: fc.Arbitrary<Manifest> = fc.record(
  {
    id: fc.nat().map(manifestId),
    takenMs: fc.nat(),
    parent: fc.option(fc.nat().map(manifestId)),
    app: fc.string(),
    origin: fc.string(),
    term: fc.nat(),
    dataFormat: fc.nat(),
    unit: fc.nat(),
    ingestTimeMs: fc.oneof(fc.nat(), fc.constant(Number.NEGATIVE_INFINITY)),
    position: fc.constant(new Map([['person/0', 7]])),
    files: fc.uniqueArray(file, { selector: ({ path }) => path, maxLength: 4 }),
  },
  { noNullPrototype: true },
)

/** A line with its checksum, as one who writes manifests by hand makes it. */
function sealed(line: string): Buffer {
  return Buffer.from(`${createHash('sha256').update(line).digest('hex')}\n${line}\n`)
}

/** Refused by its code, or a manifest that leads nowhere but into a data directory. */
function assertRefusedOrSane(bytes: Uint8Array): void {
  try {
    const { files } = parseManifest('manifests/x', bytes)
    for (const { path, bytes: size, chunks } of files) {
      assert.equal(posix.normalize(path), path)
      assert.ok(!path.startsWith('/') && !path.startsWith('..'), path)
      assert.equal(chunks.length, Math.ceil(size / CHUNK_BYTES))
    }
  } catch (error) {
    if (!isError(error)) throw error
    assert.ok(['BACKUP_DAMAGED', 'LOG_FORMAT_UNKNOWN'].includes(error.code), error.code)
    assert.match(error.message, /manifests\/x/)
  }
}

test('a manifest is read as it was written', () => {
  fc.assert(
    fc.property(manifest, one => {
      assert.deepEqual(parseManifest('x', Buffer.from(manifestText(one))), one)
    }),
    { numRuns },
  )
})

test('bytes that are no manifest are refused', () => {
  const some = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string().map(sealed), fc.json().map(sealed)) // prettier-ignore
  fc.assert(fc.property(some, assertRefusedOrSane), { numRuns })
})

test('a manifest of which anything is something else is refused, or leads nowhere else', () => {
  const odd = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('../../etc/passwd', '/etc/passwd', 'log/../../x', 'a//b', '', -1, 1e300, 0.5),
  )
  fc.assert(
    fc.property(manifest, odd, fc.nat(), fc.boolean(), (one, value, which, isFile) => {
      const [, line = ''] = manifestText(one).split('\n')
      const content = JSON.parse(line) as Record<string, unknown> & { files: object[] }
      const target = isFile && content.files.length > 0 ? content.files[0] : content
      const names = Object.keys(target as object)
      Object.assign(target as object, { [names[which % names.length] as string]: value })
      assertRefusedOrSane(sealed(JSON.stringify(content)))
    }),
    { numRuns },
  )
})

test('a fence that is none is refused', async () => {
  const store = createMemoryObjectStore()
  assert.equal(await readFence(store), 0)
  await raiseFence(store, 3)
  assert.equal(await readFence(store), 3)
  for (const text of ['', 'null', '[1]', '{"term":-1}', '{"term":"2"}', '{}', '{"term":1']) {
    await store.put('fence', Buffer.from(text))
    await assert.rejects(
      () => readFence(store),
      error => isError(error, 'BACKUP_DAMAGED'),
    )
  }
})
