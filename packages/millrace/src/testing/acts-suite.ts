/**
 * What operators decide, under SIGKILL, wherever the log is: an acknowledged act holds after the
 * restart, and one that was cut off happened wholly or not at all. Keys are made, rotated and
 * revoked; payments that a fold could not take are fixed, skipped and retried, while more arrive.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSeededRandom, systemClock } from '@millrace/core'
import { startServer, type ChildServer } from './child.ts'
import { openForTest } from './clips.ts'
import { send, type TestAnswer } from './http.ts'
import { RATES_VARIABLE, receipts } from './receipts.ts'

const ROUNDS = Math.min(Number(process.env['MILLRACE_CRASH_RUNS'] ?? 2), 4)
const FOLD = 'view.numbers'
const OPERATORS = 3
const PAYMENTS = 8
/** A number that a fix puts in place of another. */
const FIXED_BY = 1000

type Currency = 'EUR' | 'none' | 'late'

/** A payment, and what became of it. */
interface Payment {
  readonly number: number
  readonly currency: Currency
  /** Decided and acknowledged; `unknown`: the answer never came. */
  decision?: { kind: 'fix' | 'skip'; isKnown: boolean }
}

/** A key, and what a request with each of its texts must get; undefined while the answer to an act is owed. */
interface TestKey {
  readonly id: string
  readonly texts: { readonly text: string; isGood: boolean | undefined }[]
  isRevoked: boolean | undefined
}

/** What the clients know. */
interface Ledger {
  readonly buyers: Map<string, Payment[]>
  readonly keys: TestKey[]
  /** Of the last round, not yet compared after a kill. */
  fresh: { keys: TestKey[]; buyers: string[] }
  /** Ids of requests to admin operations that were acknowledged. */
  readonly acts: string[]
  admin: string
  onAct: () => void
}

type Next = (below: number) => number

class Operator {
  readonly #server: ChildServer
  readonly #ledger: Ledger
  readonly #name: string
  readonly #next: Next
  #requests = 0

  constructor(server: ChildServer, ledger: Ledger, options: { name: string; next: Next }) {
    this.#server = server
    this.#ledger = ledger
    this.#name = options.name
    this.#next = options.next
  }

  /** Works until the server is gone. */
  async work(): Promise<void> {
    try {
      for (let turn = 0; ; turn++) {
        await this.#dealWithKey()
        await this.#dealWithBuyer(`${this.#name}-${turn}`)
      }
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
    }
  }

  async #act(method: string, path: string, body?: unknown): Promise<TestAnswer> {
    const requestId = `${this.#name}-${this.#requests++}`
    const headers = { authorization: `Bearer ${this.#ledger.admin}`, 'x-request-id': requestId }
    const request = (): Promise<TestAnswer> =>
      send(this.#server.url, path, { method, body, headers })
    let answer = await request()
    // Where several processes could run, the lease of the one that was killed has to end first.
    while (answer.json['code'] === 'PARTITION_ELSEWHERE') {
      await new Promise<void>(resolve => systemClock.after(50, resolve))
      answer = await request()
    }
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`)
    this.#ledger.acts.push(requestId)
    this.#ledger.onAct()
    return answer
  }

  async #dealWithKey(): Promise<void> {
    const made = await this.#act('POST', '/v1/keys', { scope: 'server', name: this.#name })
    const id = made.json['id'] as string
    const first = { text: made.json['key'] as string, isGood: true as boolean | undefined }
    const key: TestKey = { id, texts: [first], isRevoked: false }
    this.#ledger.keys.push(key)
    this.#ledger.fresh.keys.push(key)
    if (this.#next(2) === 0) {
      first.isGood = undefined
      const rotated = await this.#act('POST', `/v1/keys/${id}/rotate`, { graceSeconds: 0 })
      first.isGood = false
      key.texts.push({ text: rotated.json['key'] as string, isGood: true })
    }
    if (this.#next(2) === 0) {
      key.isRevoked = undefined
      await this.#act('DELETE', `/v1/keys/${id}`)
      key.isRevoked = true
    }
  }

  async #dealWithBuyer(buyer: string): Promise<void> {
    const headers = { authorization: `Bearer ${this.#ledger.admin}` }
    const payments = Array.from({ length: PAYMENTS }, (_, number): Payment => {
      const currency = (['EUR', 'EUR', 'none', 'late'] as const)[this.#next(4)] ?? 'EUR'
      return { number, currency }
    })
    const body = payments.map(({ number, currency }) => ({
      type: 'paid',
      id: `${buyer}-${number}`,
      data: { buyer, number, currency },
    }))
    const answer = await send(this.#server.url, '/v1/events', { body, headers })
    assert.equal(answer.status, 200, answer.text)
    this.#ledger.buyers.set(buyer, payments)
    this.#ledger.fresh.buyers.push(buyer)
    await reached(this.#server, this.#ledger, answer.headers.get('millrace-position') ?? '')
    for (const payment of payments) {
      if (payment.currency === 'EUR') continue
      // Some stay for the rounds to come.
      if (payment.currency === 'late' && this.#next(2) === 0) return
      const kind = this.#next(2) === 0 ? 'fix' : 'skip'
      payment.decision = { kind, isKnown: false }
      await this.#decide(buyer, payment.number, kind)
      payment.decision.isKnown = true
    }
  }

  async #decide(key: string, number: number, kind: 'fix' | 'skip'): Promise<void> {
    const reason = 'a test'
    if (kind === 'skip') {
      await this.#act('POST', '/v1/dead-letters/skip', { fold: FOLD, key, reason })
      return
    }
    const data = { buyer: key, number: number + FIXED_BY, currency: 'EUR' }
    await this.#act('POST', `/v1/dead-letters/${FOLD}/${key}/fix`, { data, reason })
  }

  /** Tries all that wait again. */
  async retryAll(): Promise<void> {
    await this.#act('POST', '/v1/dead-letters/retry', { fold: FOLD })
  }
}

async function reached(server: ChildServer, { admin }: Ledger, position: string): Promise<void> {
  const path = `/v1/views/numbers/any?atLeast=${encodeURIComponent(position)}&timeoutMs=20000`
  const answer = await send(server.url, path, { headers: { authorization: `Bearer ${admin}` } })
  assert.equal(answer.status, 200, answer.text)
}

/** What the view shows of a buyer. */
function shown(
  payments: readonly Payment[],
  { hasRates }: { readonly hasRates: boolean },
): readonly number[] {
  const numbers: number[] = []
  for (const { number, currency, decision } of payments) {
    if (decision?.kind === 'fix') numbers.push(number + FIXED_BY)
    if (decision !== undefined) continue
    if (currency === 'none' || (currency === 'late' && !hasRates)) return numbers
    numbers.push(number)
  }
  return numbers
}

const askAs = (server: ChildServer, path: string, text: string): Promise<TestAnswer> =>
  send(server.url, path, { headers: { authorization: `Bearer ${text}` } })

type Ask = (path: string, text: string) => Promise<TestAnswer>

/** Compares what is fresh with what the clients know, and settles what they do not. */
async function verify(server: ChildServer, ledger: Ledger): Promise<void> {
  const ask: Ask = (path, text) => askAs(server, path, text)
  const all = await ask('/v1/log/streams', ledger.admin)
  await reached(server, ledger, all.headers.get('millrace-position') ?? '')
  const { keys, buyers } = ledger.fresh
  ledger.fresh = { keys: [], buyers: [] }
  await verifyKeys(ask, keys)
  for (const buyer of buyers) {
    const payments = ledger.buyers.get(buyer) ?? []
    const owed = payments.find(({ decision }) => decision?.isKnown === false)
    if (owed !== undefined) await settle(ask, ledger.admin, { buyer, owed })
    const { json } = await ask(`/v1/views/numbers/${buyer}`, ledger.admin)
    assert.deepEqual(json['value'] ?? [], shown(payments, { hasRates: false }), buyer)
  }
}

async function verifyKeys(ask: Ask, keys: readonly TestKey[]): Promise<void> {
  for (const key of keys) {
    for (const known of key.texts) {
      const isGood = (await ask('/v1/views', known.text)).status === 200
      const expected = key.isRevoked === true ? false : known.isGood
      if (expected !== undefined && key.isRevoked !== undefined) assert.equal(isGood, expected)
      known.isGood = isGood
    }
    key.isRevoked ??= key.texts.every(({ isGood }) => isGood === false)
  }
}

/** Finds out whether a decision that was cut off happened, and waits for its effect if it did. */
async function settle(
  ask: Ask,
  admin: string,
  { buyer, owed }: { readonly buyer: string; readonly owed: Payment },
): Promise<void> {
  for (;;) {
    const waiting = await ask(`/v1/dead-letters/${FOLD}/${buyer}?limit=1`, admin)
    if (waiting.status === 404) break
    const [record] = waiting.json['records'] as { offset: number; data: { number: number } }[]
    if (record?.data.number === owed.number) {
      delete owed.decision
      return
    }
    // Decided, and not yet in effect: neither the record nor what is in its place waits for long.
    const isThere = record !== undefined && record.offset === waiting.json['offset']
    if (isThere && record.data.number < FIXED_BY) break
    await new Promise<void>(resolve => systemClock.after(5, resolve))
  }
  if (owed.decision !== undefined) owed.decision.isKnown = true
}

/** Reads the directory in this process: receipts, audit, and a rebuild of the fold. */
async function verifyLog(directory: string, ledger: Ledger): Promise<void> {
  process.env[RATES_VARIABLE] = 'known'
  const millrace = await openForTest({ app: receipts, data: directory })
  const { log, streams } = millrace
  await millrace.reached(new Map(log.ends()), { timeoutMs: 60_000 })
  for (const [buyer, payments] of ledger.buyers) {
    const expected = shown(payments, { hasRates: true })
    assert.deepEqual(millrace.view('numbers').get(buyer).value ?? [], expected, buyer)
    const passed: number[] = []
    for await (const { data } of log.history({ stream: 'till', keys: [buyer], from: 0 })) {
      passed.push((data as { number: number }).number)
    }
    assert.deepEqual(passed, expected, `receipts of ${buyer}, each once and in order`)
  }
  assert.deepEqual((await streams.rebuild({ fold: FOLD })).different, [])
  const begun = new Map<string, string>()
  const ended = new Set<string>()
  const end = log.ends().get('access.audit/0') ?? 0
  for (let from = 0; from < end;) {
    const records = await log.read({ stream: 'access.audit', partition: 0, from })
    for (const { type, data } of records) {
      const { act, requestId } = data as { act: string; requestId: string }
      if (type === 'act.begun') begun.set(requestId, act)
      else ended.add(act)
    }
    from += records.length
  }
  for (const requestId of ledger.acts) {
    assert.ok(
      ended.has(begun.get(requestId) ?? ''),
      `${requestId} is in the audit, with its result`,
    )
  }
  await millrace.close()
}

/** Registers the test; `withData` runs it with an empty place of its own for data. */
export function actsSuite(
  name: string,
  withData: (run: (directory: string) => Promise<void>) => Promise<void>,
): void {
  describe(`acts of operators, ${name}`, () => {
    it('hold when they were acknowledged, and happen wholly or not at all, whatever is killed', async t => {
      const seed = Number(process.env['MILLRACE_CRASH_SEED'] ?? 17)
      t.diagnostic(`seed ${seed}, ${ROUNDS} rounds`)
      const random = createSeededRandom(seed)
      const next: Next = below => Math.floor(random.next() * below)
      await withData(async directory => {
        const ledger = await firstKey(directory)
        for (let round = 0; round < ROUNDS; round++) {
          await workAndKill(directory, ledger, { round, next })
        }
        await withServer(directory, {}, server => verify(server, ledger))
        await withServer(directory, { [RATES_VARIABLE]: 'known' }, async server => {
          await verifyKeys((path, text) => askAs(server, path, text), ledger.keys)
          await new Operator(server, ledger, { name: 'last', next }).retryAll()
        })
        await verifyLog(directory, ledger)
        assert.ok(ledger.acts.length > 5 * ROUNDS)
      })
    })
  })
}

async function firstKey(directory: string): Promise<Ledger> {
  const millrace = await openForTest({ app: receipts, data: directory })
  const { url } = await millrace.listen()
  const made = await send(url, '/v1/keys', { body: { scope: 'admin', name: 'the test' } })
  await millrace.close()
  const admin = made.json['key'] as string
  return {
    buyers: new Map(),
    keys: [],
    fresh: { keys: [], buyers: [] },
    acts: [],
    admin,
    onAct: () => undefined,
  }
}

/** Kills the server afterwards. */
async function withServer(
  directory: string,
  env: NodeJS.ProcessEnv,
  work: (server: ChildServer) => Promise<void>,
): Promise<void> {
  const server = await startServer(directory, { app: 'receipts', env })
  try {
    await work(server)
  } finally {
    await server.stop('SIGKILL')
  }
}

async function workAndKill(
  directory: string,
  ledger: Ledger,
  { round, next }: { readonly round: number; readonly next: Next },
): Promise<void> {
  let working: readonly Promise<void>[] = []
  await withServer(directory, {}, async server => {
    await verify(server, ledger)
    const done = afterActs(ledger, 5 + next(25))
    working = Array.from({ length: OPERATORS }, (_, number) =>
      new Operator(server, ledger, { name: `r${round}o${number}`, next }).work(),
    )
    // One that ends by itself found a fault.
    await Promise.race([done, ...working])
    for (let turns = next(40); turns > 0; turns--) {
      await new Promise<void>(resolve => systemClock.soon(resolve))
    }
  })
  await Promise.all(working)
}

/** Resolves when so many acts more were acknowledged. */
function afterActs(ledger: Ledger, count: number): Promise<void> {
  let left = count
  return new Promise(resolve => {
    ledger.onAct = () => {
      if (--left === 0) resolve()
    }
  })
}
