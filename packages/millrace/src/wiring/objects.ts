/** The object store that a place names: a folder, or `s3://bucket/folder`. */
import { resolve } from 'node:path'
import type { Clock, Random } from '@millrace/core'
import { patient, type ObjectStore } from '@millrace/log/objects'
import { openDirectoryStore } from '@millrace/log/objects/directory'
import { serverErrors } from '../errors.ts'

/** What a store is opened with. */
export interface ObjectPorts {
  readonly clock: Clock
  readonly random: Random
  /** Folders are relative to it. */
  readonly cwd: string
  /** Where the keys of S3 come from, and nowhere else. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

const AWS_REGION_DEFAULT = 'us-east-1'

/** Opens a store that tries again what may pass. Throws OBJECT_STORE_INVALID, OBJECT_STORE_DRIVER_MISSING, OBJECTS_REFUSED. */
export async function openObjectStore(place: string, ports: ObjectPorts): Promise<ObjectStore> {
  const isOther = /^[a-z][a-z0-9+.-]+:\/\//i.test(place) && !place.startsWith('s3://')
  if (isOther || place === '') {
    throw serverErrors.create('OBJECT_STORE_INVALID', { place, reason: 'it is no such place' })
  }
  const store = place.startsWith('s3://')
    ? await openS3(place, ports.environment)
    : await openDirectoryStore(resolve(ports.cwd, place))
  return patient(store, ports)
}

async function openS3(
  place: string,
  environment: ObjectPorts['environment'],
): Promise<ObjectStore> {
  const refuse = (reason: string): Error =>
    serverErrors.create('OBJECT_STORE_INVALID', { place, reason })
  const [, bucket, folder = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]+)(?:\/(.*?))?\/*$/.exec(place) ?? []
  if (bucket === undefined || !/^([a-zA-Z0-9_.-]+(\/|$))*$/.test(folder)) {
    throw refuse('it is not of the form s3://bucket/folder')
  }
  const wanted = (name: string): string => {
    const value = environment[name] ?? ''
    if (value === '') throw refuse(`${name} is not set`)
    return value
  }
  const { AWS_SESSION_TOKEN: sessionToken = '' } = environment
  const region =
    environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION'] ?? AWS_REGION_DEFAULT
  const options = {
    endpoint: environment['AWS_ENDPOINT_URL'] ?? `https://s3.${region}.amazonaws.com`,
    region,
    bucket,
    prefix: folder,
    accessKeyId: wanted('AWS_ACCESS_KEY_ID'),
    secretAccessKey: wanted('AWS_SECRET_ACCESS_KEY'),
    ...(sessionToken === '' ? {} : { sessionToken }),
  }
  const { openS3Store } = await import('@millrace/log/objects/s3').catch((error: unknown) => {
    throw serverErrors.create('OBJECT_STORE_DRIVER_MISSING', {}, error)
  })
  return openS3Store(options)
}
