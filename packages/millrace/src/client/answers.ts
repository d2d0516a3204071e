/** Past answers, for servers of a product and consoles of operators. */
import type { EventsBehind, TracedAnswer } from '@millrace/product'
import type { Transport } from './transport.ts'

/** Past answers; refusals carry the codes of the server, such as ANSWER_UNKNOWN. */
export interface AnswersClient {
  /** How an answer came about: the candidates from `after` on, at most `limit` (default 50), and what is not known any more. `item` (`kind/id`) asks for one candidate; `person` makes the search shorter. */
  explain(
    answerId: string,
    options?: {
      readonly person?: string
      readonly item?: string
      readonly after?: number
      readonly limit?: number
    },
  ): Promise<TracedAnswer>
  /** The events behind what a built-in source added for a candidate (`kind/id`), newest first, at most `limit` (default 20); for a key of scope `admin`. */
  eventsBehind(
    answerId: string,
    options: {
      readonly item: string
      readonly stage: 'forYou' | 'because' | 'trending' | 'popular' | 'fresh'
      readonly before?: number
      readonly limit?: number
    },
  ): Promise<EventsBehind>
}

/** Creates the part of a client that speaks of past answers. */
export function createAnswersClient(transport: Transport): AnswersClient {
  const read = async (answerId: string, what: string, query: Readonly<Record<string, string | number | undefined>>): Promise<unknown> => // prettier-ignore
    (await transport.send({ method: 'GET', path: `/v1/answers/${encodeURIComponent(answerId)}/${what}`, query })).body // prettier-ignore
  return {
    explain: async (id, options = {}) => (await read(id, 'explanation', { ...options })) as TracedAnswer, // prettier-ignore
    eventsBehind: async (id, options) => (await read(id, 'events', { ...options })) as EventsBehind,
  }
}
