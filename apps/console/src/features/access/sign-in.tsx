import { useState, type SubmitEvent, type ReactNode } from 'react'
import { refusalOf, signIn } from '../../access.ts'
import { Card } from '../../ui/index.tsx'

/** Asks for a key of the scope `server` or `admin`. */
export function SignIn(props: { reason: string }): ReactNode {
  const [reason, setReason] = useState(props.reason)
  const [isAsking, setIsAsking] = useState(false)
  const submit = async (event: SubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault()
    const text = new FormData(event.currentTarget).get('key')
    const key = typeof text === 'string' ? text.trim() : ''
    setIsAsking(true)
    try {
      const refusal = await refusalOf(key)
      if (refusal === undefined) signIn(key)
      else setReason(refusal)
    } catch (error) {
      setReason(error instanceof Error ? error.message : String(error))
    }
    setIsAsking(false)
  }
  return (
    <main className="page sign-in">
      <h1>Millrace</h1>
      <Card title="This server asks for a key">
        <form onSubmit={event => void submit(event)}>
          <label htmlFor="key">A key of the scope server or admin</label>
          <input
            id="key"
            name="key"
            type="password"
            autoComplete="off"
            spellCheck={false}
            required
            autoFocus
          />
          <button type="submit" className="action" disabled={isAsking}>
            Open
          </button>
          <p role="status" className="warm small">
            {reason}
          </p>
        </form>
        <p className="soft small">
          Make one with <code>npx millrace keys create server --name console</code>. It stays in
          this tab and is forgotten when the tab is closed.
        </p>
      </Card>
    </main>
  )
}
