import { useCallback, type ReactNode } from 'react'
import { fetchTrending } from '../../api.ts'
import { Card } from '../../ui/index.tsx'
import { usePolling } from '../../ui/use-polling.ts'

const titleOf = (attributes: Readonly<Record<string, unknown>> | undefined, id: string): string =>
  typeof attributes?.['title'] === 'string' ? attributes['title'] : id

/** What is trending among the items of a kind, judged from the newest events. */
export function Trending(props: {
  kind: string
  title: string
  note: string
  n: number
}): ReactNode {
  const { kind, n } = props
  const ask = useCallback(() => fetchTrending(kind, n), [kind, n])
  const { value, error } = usePolling(ask, 2000)
  return (
    <Card title={props.title} note={error ?? props.note}>
      <ol className="ranked">
        {(value ?? []).map((entry, index) => (
          <li key={entry.id}>
            <span className="rank">{index + 1}</span>
            <span className="text">
              <span className="lines">{titleOf(entry.attributes, entry.id)}</span>
              <span className="line soft small" style={{ display: 'block' }}>
                {topicsOf(entry.attributes)}
              </span>
            </span>
          </li>
        ))}
      </ol>
    </Card>
  )
}

/** The topics of an item as text. */
export function topicsOf(attributes: Readonly<Record<string, unknown>> | undefined): string {
  const topics = attributes?.['topics']
  return Array.isArray(topics) ? topics.join(', ') : ''
}

export { titleOf }
