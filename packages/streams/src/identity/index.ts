/** Merged people among the folds of a runtime. */
import type { EventLog } from '@millrace/log'
import type { Appender } from '../corrections/appender.ts'
import type { FoldRunner } from '../runner.ts'
import { Carrier, type CarrierPorts } from './carrier.ts'
import type { PersonEvent } from './contract.ts'
import { graphOf } from './counted.ts'
import { Origins } from './origins.ts'
import type { Identity } from './touched.ts'

/** What finds the events of people and carries them to whom they are. */
export function openIdentity(
  ports: CarrierPorts & {
    readonly log: EventLog
    readonly sliceMs: number
    /** Events that name people. */
    readonly people?: readonly PersonEvent[] | undefined
  },
  appender: Appender,
  runners: readonly FoldRunner[],
): Identity {
  const { people: events = [] } = ports
  const people = new Map(events.map(({ type, fields }) => [type, fields]))
  const graph = graphOf(runners, people)
  const origins = new Origins({ ...ports, runners, events, people })
  return { graph, origins, carrier: new Carrier(ports, appender, graph, origins) }
}
