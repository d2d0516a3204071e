/**
 * The configuration: every setting with its name in the environment, its default and its bounds,
 * as data, so that the reference page is generated from it. This file alone reads the environment.
 */
import { serverErrors } from './errors.ts'

/** Bounds and times of the server. */
export interface Limits {
  /** Bytes of one request body. */
  readonly bodyBytesMax: number
  /** Bytes of all request bodies that are being received or worked on. */
  readonly bodiesBytesMax: number
  /** Events of one request. */
  readonly eventsMax: number
  /** Bytes of one event. */
  readonly eventBytesMax: number
  /** Levels of nesting in a JSON body. */
  readonly depthMax: number
  /** Bytes of request line and headers. */
  readonly headerBytesMax: number
  readonly headersTimeoutMs: number
  /** From the first byte of a request to its last. */
  readonly requestTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  /** Without a byte in either direction. */
  readonly idleTimeoutMs: number
  readonly connectionsMax: number
  /** Open server-sent event streams. */
  readonly subscriptionsMax: number
  /** The longest that a read may wait for `atLeast`. */
  readonly waitMsMax: number
  /** What a closing server waits for requests in flight. */
  readonly closeTimeoutMs: number
  /** Bytes that may wait in the log to become durable. */
  readonly queueBytesMax: number
}

/** How much is logged. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Everything that may be set from outside. */
export interface Config {
  /** Data directory, or `memory` for none. */
  readonly data: string
  /** PostgreSQL that holds log and snapshots in place of the data directory; empty for none. */
  readonly database: string
  readonly host: string
  readonly port: number
  readonly logLevel: LogLevel
  /** Path of a certificate chain in PEM; empty for plain HTTP. */
  readonly tlsCert: string
  /** Path of its private key. */
  readonly tlsKey: string
  /** What commands show to a server of another machine; empty for none. */
  readonly key: string
  readonly limits: Limits
}

/** One setting, as the reference shows it. */
export interface Setting {
  /** Its name in the environment. */
  readonly name: string
  /** Its place in `Config`. */
  readonly field: string
  readonly default: string | number
  /** Bounds of a number, or the texts that are allowed. */
  readonly allowed?: readonly [min: number, max: number] | readonly string[]
  readonly unit?: string
  readonly description: string
}

const KIB = 1024
const MIB = 1024 * KIB
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

const limit = (
  field: keyof Limits,
  standard: number,
  allowed: readonly [number, number],
  unit: string,
  description: string,
): Setting => ({
  name: `MILLRACE_${field.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`,
  field: `limits.${field}`,
  default: standard,
  allowed,
  unit,
  description,
})

/** All settings, in the order of the reference. */
export const settings: readonly Setting[] = [
  {
    name: 'MILLRACE_DATA',
    field: 'data',
    default: '.millrace',
    description: 'The data directory, or `memory` to keep nothing. One process owns it at a time.',
  },
  {
    name: 'DATABASE_URL',
    field: 'database',
    default: '',
    description:
      'A PostgreSQL, `postgres://user:password@host:port/name`, that holds log and snapshots in its schema `millrace`. Needs the package `pg`. The data directory keeps what belongs to this machine.',
  },
  {
    name: 'MILLRACE_HOST',
    field: 'host',
    default: '127.0.0.1',
    description: 'The address to listen on. Loopback alone until a key was made.',
  },
  {
    name: 'PORT',
    field: 'port',
    default: 4321,
    allowed: [0, 65_535],
    description: 'The port to listen on; 0 takes a free one.',
  },
  {
    name: 'MILLRACE_LOG_LEVEL',
    field: 'logLevel',
    default: 'info',
    allowed: LEVELS,
    description: 'How much the server logs, as JSON lines on standard error.',
  },
  {
    name: 'MILLRACE_TLS_CERT',
    field: 'tlsCert',
    default: '',
    description:
      'The file of the certificate chain, in PEM, to serve HTTPS; empty for HTTP. Read again when it changes.',
  },
  {
    name: 'MILLRACE_TLS_KEY',
    field: 'tlsKey',
    default: '',
    description: 'The file of its private key, in PEM.',
  },
  {
    name: 'MILLRACE_KEY',
    field: 'key',
    default: '',
    description:
      'The key that commands show to the server of `--port`. The server of a data directory on this machine needs none.',
  },
  limit(
    'bodyBytesMax',
    8 * MIB,
    [KIB, 256 * MIB],
    'bytes',
    'The largest request body; lines of events are taken as they arrive, without a limit.',
  ),
  limit(
    'bodiesBytesMax',
    64 * MIB,
    [MIB, 4096 * MIB],
    'bytes',
    'Request bodies in memory at a time; above it requests get 503 and a time to come back.',
  ),
  limit('eventsMax', 10_000, [1, 100_000], 'events', 'Events in one request, but for lines.'),
  limit('eventBytesMax', 256 * KIB, [KIB, 16 * MIB], 'bytes', 'The largest event.'),
  limit('depthMax', 32, [4, 1000], 'levels', 'Nesting of JSON in a request body.'),
  limit('headerBytesMax', 32 * KIB, [KIB, MIB], 'bytes', 'Request line and headers together.'),
  limit('headersTimeoutMs', 10_000, [100, 600_000], 'ms', 'Time for the headers to arrive.'),
  limit(
    'requestTimeoutMs',
    60_000,
    [100, 3_600_000],
    'ms',
    'Time for a whole request to arrive; in a body of lines, for the next line.',
  ),
  limit('keepAliveTimeoutMs', 60_000, [0, 3_600_000], 'ms', 'Time an idle connection is kept.'),
  limit(
    'idleTimeoutMs',
    120_000,
    [100, 3_600_000],
    'ms',
    'Time without a byte either way before a connection is cut, such as one that does not take its answer; a second more than `waitMsMax` at least.',
  ),
  limit('connectionsMax', 4096, [1, 65_535], 'connections', 'Connections open at a time.'),
  limit('subscriptionsMax', 256, [0, 65_535], 'streams', 'Server-sent event streams at a time.'),
  limit('waitMsMax', 30_000, [0, 600_000], 'ms', 'The longest wait of a read for `atLeast`.'),
  limit('closeTimeoutMs', 10_000, [0, 600_000], 'ms', 'Time for requests in flight at shutdown.'),
  limit('queueBytesMax', 64 * MIB, [MIB, 4096 * MIB], 'bytes', 'Events waiting for the disk.'),
]

/** The environment of this process, for those who pass it on. */
export const processEnvironment: Readonly<Record<string, string | undefined>> = process.env

/** What a caller sets in code; it wins over the environment. */
export type ConfigOverrides = Partial<Omit<Config, 'limits' | 'key'>> & {
  readonly limits?: Partial<Limits>
}

/**
 * The configuration: overrides, then the environment, then defaults. Throws CONFIG_INVALID, naming
 * the setting.
 */
export function readConfig(
  overrides: ConfigOverrides = {},
  environment: Readonly<Record<string, string | undefined>> = processEnvironment,
): Config {
  const values = new Map<string, string | number>()
  for (const setting of settings) {
    const own = ownValue(overrides, setting.field)
    const given = own ?? environment[setting.name]
    const value = given === undefined || given === '' ? setting.default : given
    values.set(setting.field, checked(setting, value, own === undefined))
  }
  const limits: Record<string, number> = {}
  for (const [field, value] of values) {
    if (field.startsWith('limits.')) limits[field.slice('limits.'.length)] = value as number
  }
  return {
    data: values.get('data') as string,
    database: values.get('database') as string,
    host: values.get('host') as string,
    port: values.get('port') as number,
    logLevel: values.get('logLevel') as LogLevel,
    tlsCert: values.get('tlsCert') as string,
    tlsKey: values.get('tlsKey') as string,
    key: values.get('key') as string,
    limits: limits as unknown as Limits,
  }
}

function ownValue(overrides: ConfigOverrides, field: string): string | number | undefined {
  const name = field.startsWith('limits.') ? field.slice('limits.'.length) : undefined
  return name === undefined
    ? overrides[field as keyof Omit<ConfigOverrides, 'limits'>]
    : overrides.limits?.[name as keyof Limits]
}

function checked(setting: Setting, value: unknown, isFromOutside: boolean): string | number {
  const name = isFromOutside ? setting.name : setting.field
  const refuse = (reason: string): never => {
    throw serverErrors.create('CONFIG_INVALID', { name, reason })
  }
  if (typeof setting.default === 'number') {
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
    const [min, max] = setting.allowed as readonly [number, number]
    if (typeof number !== 'number' || !Number.isInteger(number) || number < min || number > max) {
      return refuse(`it is a whole number from ${min} to ${max}`)
    }
    return number
  }
  if (typeof value !== 'string') return refuse('it is text')
  if (setting.allowed === undefined) return value
  const allowed = setting.allowed as readonly string[]
  return allowed.includes(value) ? value : refuse(`it is one of ${allowed.join(', ')}`)
}
