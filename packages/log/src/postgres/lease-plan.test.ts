import assert from 'node:assert/strict'
import { it } from 'node:test'
import { planLeases, type Lease, type Member } from './lease-plan.ts'

const lineage = 'now'
const member = (name: string, more: Partial<Member> = {}): Member => ({
  name,
  lineage,
  address: undefined,
  ...more,
})
const leases = (...owners: readonly (string | undefined)[]): Lease[] =>
  owners.map((owner, partition) => ({ partition, owner, token: 1 }))
const plan = (held: readonly Lease[], members: readonly Member[]): (string | undefined)[] => {
  const wanted = planLeases(held, members)
  return held.map(({ partition }) => wanted.get(partition))
}

it('leases are shared evenly, and as few as possible change hands', () => {
  const [a, b, c] = [member('a'), member('b'), member('c')]
  const none = undefined
  assert.deepEqual(plan(leases(none, none, none, none), [a]), ['a', 'a', 'a', 'a'])
  assert.deepEqual(plan(leases('a', 'a', 'a', 'a'), [a, b]), ['a', 'a', 'b', 'b'])
  assert.deepEqual(plan(leases('a', 'a', 'b', 'b'), [a, b, c]), ['a', 'a', 'b', 'c'])
  assert.deepEqual(plan(leases('gone', 'a', 'gone', 'b'), [a, b]), ['a', 'a', 'b', 'b'])
  assert.deepEqual(plan(leases('a', 'b'), [b, c]), ['c', 'b'])
  assert.deepEqual(plan(leases('a'), [a, b, c]), ['a'])
  assert.deepEqual(plan(leases(none, 'a'), []), [undefined, undefined])
})

it('who does not stand gets none, and the lineage that joined last gets all', () => {
  const old = member('old', { lineage: 'before' })
  const idle = member('idle', { lineage: undefined })
  assert.deepEqual(plan(leases('old', 'old'), [old, idle]), ['old', 'old'])
  assert.deepEqual(plan(leases('old', 'old'), [old, member('a'), idle]), ['a', 'a'])
  const back = member('back', { lineage: 'before' })
  assert.deepEqual(plan(leases('a', 'a'), [old, member('a'), back]), ['old', 'back'])
})
