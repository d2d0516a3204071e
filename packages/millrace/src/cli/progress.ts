/** Progress of long work on standard error: a bar for people, a line now and then for logs. */
import { SingleBar } from 'cli-progress'
import type { Clock } from '@millrace/core'
import { bytes, count, type Output } from './output.ts'

/** Shows how far something has come. */
export interface Progress {
  /** A new stretch of work with its own total. */
  begin(title: string, unit: 'bytes' | 'rows'): void
  update(done: number, total: number, rows?: number): void
  end(): void
}

const LINE_EVERY_MS = 5000
const DRAW_EVERY_MS = 100

/** A bar where a person looks, else lines. */
export function createProgress(output: Output, clock: Clock): Progress {
  const { terminal } = output
  let title = ''
  let unit: 'bytes' | 'rows' = 'rows'
  let bar: SingleBar | undefined
  let startMs = 0
  let shownMs = 0
  const amount = (value: number): string => (unit === 'bytes' ? bytes(value) : count(value))
  const facts = (done: number, total: number, rows: number | undefined): string => {
    if (done === 0) return `${amount(done)} of ${amount(total)}`
    const elapsedS = Math.max(0.001, (clock.monotonicMs() - startMs) / 1000)
    const leftS = (elapsedS * Math.max(0, total - done)) / done
    const isOfRows = unit === 'rows' || rows !== undefined
    const perSecond = (unit === 'rows' ? done : (rows ?? done)) / elapsedS
    const rate = isOfRows ? `${count(perSecond)} rows/s` : `${bytes(perSecond)}/s`
    return `${amount(done)} of ${amount(total)}, ${rate}, ${duration(leftS)} left`
  }
  const end = (): void => {
    bar?.stop()
    bar = undefined
  }
  return {
    begin(newTitle, newUnit) {
      end()
      title = newTitle
      unit = newUnit
      startMs = clock.monotonicMs()
      shownMs = startMs
      if (!terminal.isInteractive) return
      bar = new SingleBar({
        format: `${title.padEnd(10)} {bar} {percentage}%  {facts}`,
        barsize: 20,
        hideCursor: true,
        clearOnComplete: true,
        stopOnComplete: false,
        fps: 10,
      })
      bar.start(1, 0, { facts: '' })
    },
    update(done, total, rows) {
      const nowMs = clock.monotonicMs()
      if (nowMs - shownMs < (bar === undefined ? LINE_EVERY_MS : DRAW_EVERY_MS)) return
      shownMs = nowMs
      if (bar === undefined) {
        output.note(`${title}: ${facts(done, total, rows)}`)
        return
      }
      bar.setTotal(Math.max(1, total))
      bar.update(done, { facts: facts(done, total, rows) })
    },
    end,
  }
}

/** Seconds as people read them. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
