/** Who does what, where several processes share one database. */
import type { JsonSchema } from '@millrace/core'
import type { Leases } from '@millrace/log'
import type { Operation } from './operation.ts'

const textOrNull: JsonSchema = { type: ['string', 'null'] }

const leasesSchema: JsonSchema = {
  type: 'object',
  required: ['isShared', 'leases'],
  properties: {
    isShared: {
      type: 'boolean',
      description: 'False where one process has the data to itself: it does everything.',
    },
    leases: {
      type: 'array',
      items: {
        type: 'object',
        required: ['partition', 'owner', 'address', 'token', 'isOwn'],
        properties: {
          partition: { type: 'integer', description: 'The partitions of all streams with it.' },
          owner: { ...textOrNull, description: 'The process; null while nobody holds the lease.' },
          address: { ...textOrNull, description: 'Where that process answers.' },
          token: { type: 'integer', description: 'Grows each time that the lease is taken.' },
          isOwn: { type: 'boolean', description: 'Held by the process that answers.' },
        },
      },
    },
  },
}

/** The operation that tells who owns which partitions. */
export function leaseOperations(leases: Leases | undefined): readonly Operation[] {
  return [
    {
      method: 'GET',
      path: '/v1/leases',
      operation: 'listLeases',
      scope: 'admin',
      tag: 'operations',
      summary: 'Which process commits the steps of which partitions',
      isOutsideLog: true,
      response: leasesSchema,
      handle: () => ({
        body: {
          isShared: leases !== undefined,
          leases: (leases?.list() ?? []).map(({ owner = null, address = null, ...lease }) => ({
            ...lease,
            owner,
            address,
          })),
        },
      }),
    },
  ]
}
