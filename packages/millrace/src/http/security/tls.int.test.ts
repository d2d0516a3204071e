import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { isError, systemClock, type Clock } from '@millrace/core'
import { livingOwner } from '@millrace/log'
import { certificates } from '../../testing/certificates.ts'
import { openForTest } from '../../testing/clips.ts'
import { send } from '../../testing/http.ts'

interface Shown {
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, unknown>>
  /** Fingerprint of the certificate that the server showed. */
  readonly fingerprint: string
}

function get(url: string): Promise<Shown> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { rejectUnauthorized: false, agent: false }, answer => {
      const { fingerprint256 } = (answer.socket as TLSSocket).getPeerCertificate()
      answer.resume()
      answer.on('end', () =>
        resolve({
          status: answer.statusCode,
          headers: answer.headers,
          fingerprint: fingerprint256,
        }),
      )
    })
    asked.on('error', reject)
    asked.end()
  })
}

const fingerprints = certificates.map(({ cert }) => new X509Certificate(cert).fingerprint256)

describe('TLS by files', () => {
  let folder = ''
  const tlsCert = (): string => join(folder, 'cert.pem')
  const tlsKey = (): string => join(folder, 'key.pem')
  const install = async (index: number): Promise<void> => {
    await writeFile(tlsCert(), certificates[index]?.cert ?? '')
    await writeFile(tlsKey(), certificates[index]?.key ?? '')
  }
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-tls-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('serves HTTPS, and plain HTTP on loopback for the commands of this machine', async () => {
    await install(0)
    const data = join(folder, 'data')
    const millrace = await openForTest({ data, tlsCert: tlsCert(), tlsKey: tlsKey() })
    const { url } = await millrace.listen()
    assert.match(url, /^https:\/\/127\.0\.0\.1:/)
    const shown = await get(`${url}/healthz`)
    assert.deepEqual([shown.status, shown.fingerprint], [200, fingerprints[0]])
    assert.equal(shown.headers['strict-transport-security'], 'max-age=15552000')
    const local = `http://${livingOwner(data)?.address ?? ''}`
    assert.notEqual(new URL(local).port, new URL(url).port)
    assert.equal((await send(local, '/healthz')).status, 200)
    await millrace.close()
  })

  it('shows a renewed certificate without a restart, and the one before while files are broken', async () => {
    await install(0)
    // Time stands still but for the looks at the files, which the test asks for.
    const looks: (() => void)[] = []
    const clock: Clock = {
      ...systemClock,
      after(delayMs, task) {
        if (delayMs !== 60_000) return systemClock.after(delayMs, task)
        looks.push(task)
        return { cancel: () => undefined }
      },
    }
    const warned: string[] = []
    const logger = {
      debug: () => undefined,
      info: () => undefined,
      warn: (message: string) => void warned.push(message),
      error: () => undefined,
    }
    const millrace = await openForTest({ clock, logger, tlsCert: tlsCert(), tlsKey: tlsKey() })
    const { url } = await millrace.listen()
    const look = async (): Promise<void> => {
      while (looks.length === 0) await new Promise(resolve => setImmediate(resolve))
      looks.splice(0).forEach(task => task())
      while (looks.length === 0) await new Promise(resolve => setImmediate(resolve))
    }
    await look()
    assert.equal((await get(`${url}/healthz`)).fingerprint, fingerprints[0])
    await writeFile(tlsCert(), certificates[1]?.cert ?? '')
    await look()
    assert.deepEqual(warned, ['the certificate cannot be read'])
    assert.equal((await get(`${url}/healthz`)).fingerprint, fingerprints[0])
    await install(1)
    await look()
    assert.equal((await get(`${url}/healthz`)).fingerprint, fingerprints[1])
    await millrace.close()
  })

  it('refuses the start with one file, a missing file, or files that do not go together', async () => {
    await install(0)
    const other = join(folder, 'other.pem')
    await writeFile(other, certificates[1]?.key ?? '')
    for (const files of [
      { tlsCert: tlsCert() },
      { tlsKey: tlsKey() },
      { tlsCert: tlsCert(), tlsKey: join(folder, 'missing.pem') },
      { tlsCert: tlsCert(), tlsKey: other },
    ]) {
      await assert.rejects(openForTest(files), error => isError(error, 'CONFIG_INVALID'))
    }
  })
})
