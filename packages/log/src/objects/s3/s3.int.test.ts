/** Against a maintained fork of s3rver, which checks signatures as S3 does. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isError } from '@millrace/core'
import { objectSuite } from '../suite.ts'
import { openS3Store, type S3Options } from './index.ts'

const SERVER = fileURLToPath(import.meta.resolve('@20minutes/s3rver'))

/** In a process of its own: its page tokens need a cipher that is off by default. */
const PROGRAM = `
  const [program, directory] = process.argv.slice(1)
  const S3rver = require(program)
  const configureBuckets = [{ name: 'backups' }]
  new S3rver({ address: '127.0.0.1', port: 0, silent: true, directory, configureBuckets })
    .run()
    .then(({ port }) => console.log(port))
`

async function bucket(more: Partial<S3Options> = {}): Promise<{
  options: S3Options
  dispose: () => Promise<void>
}> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-s3-'))
  const child = spawn(
    process.execPath,
    ['--openssl-legacy-provider', '-e', PROGRAM, '--', SERVER, directory],
    { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const options = {
    endpoint: `http://127.0.0.1:${port}/`,
    region: 'us-east-1',
    bucket: 'backups',
    prefix: 'clips/live',
    accessKeyId: 'S3RVER',
    secretAccessKey: 'S3RVER',
    pageMax: 25,
    ...more,
  }
  const dispose = async (): Promise<void> => {
    const ended = once(child, 'exit')
    child.kill()
    await ended
    rmSync(directory, { recursive: true })
  }
  return { options, dispose }
}

objectSuite('S3', async () => {
  const { options, dispose } = await bucket()
  return { store: openS3Store(options), dispose }
})

test('a wrong key and a missing bucket are refused, and no answer shows a key', async t => {
  const { options, dispose } = await bucket()
  t.after(dispose)
  const secret = 'a-secret-that-nobody-sees'
  for (const wrong of [{ secretAccessKey: secret }, { bucket: 'none' }]) {
    const store = openS3Store({ ...options, ...wrong })
    await assert.rejects(store.put('x', new Uint8Array(3)), error => {
      assert.ok(isError(error, 'OBJECTS_REFUSED'), String(error))
      assert.doesNotMatch(`${error.message} ${error.stack} ${JSON.stringify(error)}`, /a-secret/)
      return true
    })
  }
})

test('throttling, faults of the server and a server that is gone may be tried again', async t => {
  let answer: RequestListener = () => undefined
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => answer(request, response))
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { options, dispose } = await bucket({ endpoint })
  t.after(dispose)
  const fails = (reason: RegExp, store = openS3Store(options)): Promise<void> =>
    assert.rejects(
      store.get('x'),
      error => isError(error, 'OBJECTS_UNAVAILABLE') && reason.test(error.message),
    )
  answer = (_, response) => {
    response.statusCode = 503
    response.end('<Error><Code>SlowDown</Code><Message>less &amp; later</Message></Error>')
  }
  await fails(/SlowDown less & later/)
  answer = () => undefined
  await fails(/time-?out/i, openS3Store({ ...options, timeoutMs: 200 }))
  answer = (_, response) => response.destroy()
  await fails(/closed|reset|hang up|terminated/i)
})
