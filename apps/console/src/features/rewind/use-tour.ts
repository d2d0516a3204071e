import { useEffect, useState } from 'react'
import { reasonText, type SlateItem } from '../../api.ts'
import {
  askWhy,
  fetchChangeset,
  letRingIn,
  planRetraction,
  predict,
  run,
  type Changeset,
  type DryRun,
  type EventBehind,
  type Prediction,
  type Ring,
} from './requests.ts'

const POLL_MS = 300

/** How far the reader is. */
export interface TourState {
  readonly ring?: Ring
  readonly why?: { readonly item: SlateItem; readonly events: readonly EventBehind[] }
  readonly plan?: DryRun
  readonly changeset?: Changeset
  readonly prediction?: Prediction
}

/** The steps of the tour, each a request that really runs. */
export interface Tour {
  readonly state: TourState
  /** The step that is under way. */
  readonly busy: string | undefined
  /** What went wrong, and at which step. */
  readonly failure: { readonly step: string; readonly reason: string } | undefined
  letIn(): void
  ask(): void
  plan(): void
  run(verb: 'apply' | 'undo'): void
  predict(): void
}

/** Keeps the state of the tour; `person` is asked for a list. */
export function useTour(person: string): Tour {
  const [state, setState] = useState<TourState>({})
  const [busy, setBusy] = useState<string>()
  const [failure, setFailure] = useState<Tour['failure']>()
  const isRunning = state.changeset?.run?.hasEnded === false
  const runningId = isRunning ? state.changeset?.id : undefined
  useEffect(() => {
    if (runningId === undefined) return undefined
    const timer = setInterval(() => {
      void fetchChangeset(runningId)
        .then(changeset => setState(before => ({ ...before, changeset })))
        .catch((error: unknown) => setFailure({ step: 'run', reason: reasonText(error) }))
    }, POLL_MS)
    return () => clearInterval(timer)
  }, [runningId])
  const act = async (step: string, work: () => Promise<TourState>): Promise<void> => {
    setBusy(step)
    setFailure(undefined)
    try {
      setState(await work())
    } catch (error) {
      setFailure({ step, reason: reasonText(error) })
    } finally {
      setBusy(undefined)
    }
  }
  const { ring, plan } = state
  return {
    state,
    busy: busy ?? (isRunning ? 'run' : undefined),
    failure,
    letIn: () => void act('letIn', async () => ({ ring: await letRingIn() })),
    ask: () => ring && void act('ask', async () => ({ ...state, why: await askWhy(ring, person) })),
    plan: () =>
      ring && void act('plan', async () => ({ ...state, plan: await planRetraction(ring) })),
    run: verb =>
      plan && void act('run', async () => ({ ...state, changeset: await run(plan.id, verb) })),
    predict: () => void act('predict', async () => ({ ...state, prediction: await predict() })),
  }
}
