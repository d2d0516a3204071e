/**
 * An object store in a bucket of S3 or of what speaks as it does (MinIO, Ceph, R2, Garage ...).
 *
 * Requests are signed by aws4fetch (Signature Version 4), with the hash of the body, and sent by
 * the runtime's own fetch; addresses are path-style, which all of them understand. Needs a store
 * that reads after writes consistently, as S3 does since 2020. Keys are never part of an error.
 */
import { AwsClient } from 'aws4fetch'
import { logErrors } from '../../errors.ts'
import { checkObjectName, unavailable, type ObjectStore, type StoredObject } from '../objects.ts'

/** A bucket and who calls. */
export interface S3Options {
  /** `https://s3.eu-central-1.amazonaws.com`, `http://127.0.0.1:9000` ... */
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  /** Folder of the bucket, without slashes at its ends; empty for the whole. */
  readonly prefix: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  /** For one request. Default 60,000. */
  readonly timeoutMs?: number
  /** Objects that one request lists. Default and most: 1,000. */
  readonly pageMax?: number
}

/** Answers that a later try may change: throttling, time-outs and faults of the server. */
const isPassing = (status: number): boolean => status === 408 || status === 429 || status >= 500

/** Opens the object store of a bucket, which must exist. Nothing is sent before the first call. */
export function openS3Store(options: S3Options): ObjectStore {
  return new S3Store(options)
}

interface S3Request {
  readonly method: string
  readonly name: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

class S3Store implements ObjectStore {
  readonly place: string
  readonly #client: AwsClient
  readonly #bucket: string
  readonly #prefix: string
  readonly #timeoutMs: number
  readonly #pageMax: number

  constructor(options: S3Options) {
    const {
      endpoint,
      bucket,
      prefix,
      timeoutMs = 60_000,
      pageMax = 1_000,
      sessionToken,
      ...rest
    } = options
    this.place = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`
    this.#bucket = `${endpoint.replace(/\/+$/, '')}/${encodeURIComponent(bucket)}`
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.#timeoutMs = timeoutMs
    this.#pageMax = pageMax
    // Retries are those of the caller, who has the clock.
    const session = sessionToken === undefined ? {} : { sessionToken }
    this.#client = new AwsClient({ ...rest, ...session, service: 's3', retries: 0 })
  }

  async put(name: string, body: Uint8Array): Promise<void> {
    await this.#send('put', { method: 'PUT', name: checkObjectName(name), body })
  }

  get(name: string): Promise<Uint8Array | undefined> {
    return this.#send('get', { method: 'GET', name: checkObjectName(name) })
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    let token: string | undefined
    do {
      const query = {
        'list-type': '2',
        'max-keys': String(this.#pageMax),
        prefix: this.#prefix + prefix,
        ...(token === undefined ? {} : { 'continuation-token': token }),
      }
      const bytes = await this.#send('list', { method: 'GET', name: '', query })
      const text = new TextDecoder().decode(bytes)
      for (const [, entry = ''] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
        const name = textOf(entry, 'Key').slice(this.#prefix.length)
        yield { name, bytes: Number(textOf(entry, 'Size')) }
      }
      token =
        textOf(text, 'IsTruncated') === 'true' ? textOf(text, 'NextContinuationToken') : undefined
    } while (token !== undefined)
  }

  async remove(name: string): Promise<void> {
    await this.#send('remove', { method: 'DELETE', name: checkObjectName(name) })
  }

  /** The body of the answer; undefined for an object that is not there. */
  async #send(operation: string, request: S3Request): Promise<Uint8Array | undefined> {
    const { method, name, query = {}, body } = request
    const search = new URLSearchParams(query)
    const path = name === '' ? '' : `/${this.#prefix}${name}`
    const url = `${this.#bucket}${path}${search.size > 0 ? `?${search.toString()}` : ''}`
    let status: number
    let bytes: Uint8Array
    try {
      const hash = await crypto.subtle.digest(
        'SHA-256',
        (body as BufferSource) ?? new Uint8Array(0),
      )
      const answer = await this.#client.fetch(url, {
        method,
        headers: { 'x-amz-content-sha256': Buffer.from(hash).toString('hex') },
        signal: AbortSignal.timeout(this.#timeoutMs),
        ...(body === undefined ? {} : { body: body as BodyInit }),
      })
      status = answer.status
      bytes = new Uint8Array(await answer.arrayBuffer())
    } catch (error) {
      throw unavailable(this, operation, (error as { cause?: unknown }).cause ?? error)
    }
    if (status >= 200 && status < 300) return bytes
    const text = new TextDecoder().decode(bytes)
    const code = textOf(text, 'Code') || `HTTP ${status}`
    if (status === 404 && name !== '' && code !== 'NoSuchBucket') return undefined
    const reason = `${code} ${textOf(text, 'Message')}`.trim()
    if (isPassing(status)) throw unavailable(this, operation, reason)
    throw logErrors.create('OBJECTS_REFUSED', { place: this.place, operation, reason })
  }
}

/** The text of the first such element. */
function textOf(xml: string, element: string): string {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1] ?? ''
  return text
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}
