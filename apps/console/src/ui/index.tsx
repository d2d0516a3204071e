/** The parts that pages are made of. Features import from here, never a component library itself. */
import { useEffect, useRef, type ReactNode } from 'react'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

/** Seconds that a live chart shows. */
const CHART_SECONDS = 120

/** A titled box. */
export function Card(props: {
  title: string
  note?: ReactNode
  className?: string
  children: ReactNode
}): ReactNode {
  return (
    <section className={`card ${props.className ?? ''}`}>
      <h2>{props.title}</h2>
      {props.note !== undefined && <p className="soft small">{props.note}</p>}
      {props.children}
    </section>
  )
}

/** One figure with its unit and what it means. */
export function Tile(props: {
  label: string
  value: string
  unit?: string
  note?: string
}): ReactNode {
  return (
    <div className="card tile">
      <div className="soft small">{props.label}</div>
      <div className="figure">
        {props.value} {props.unit !== undefined && <span className="unit">{props.unit}</span>}
      </div>
      {props.note !== undefined && <div className="soft small line">{props.note}</div>}
    </div>
  )
}

/** A coloured disc with initials; the colour follows from the id. */
export function Avatar(props: { id: string; name: string }): ReactNode {
  let hue = 7
  for (let at = 0; at < props.id.length; at++) hue = (hue * 31 + props.id.charCodeAt(at)) % 360
  const initials = props.name
    .split(' ')
    .map(word => word.charAt(0))
    .slice(0, 2)
    .join('')
  return (
    <span className="avatar" style={{ background: `hsl(${hue} 45% 30%)` }} aria-hidden="true">
      {initials}
    </span>
  )
}

/** Whether something is well, in one word. */
export function Pill(props: { isWell: boolean; children: ReactNode }): ReactNode {
  return <span className={`pill ${props.isWell ? '' : 'is-warm'}`}>{props.children}</span>
}

/** A small button. */
export function Action(props: {
  onClick: () => void
  children: ReactNode
  isPressed?: boolean
  isDisabled?: boolean
  label?: string
}): ReactNode {
  return (
    <button
      type="button"
      className="action"
      onClick={props.onClick}
      aria-pressed={props.isPressed}
      aria-label={props.label}
      disabled={props.isDisabled}
    >
      {props.children}
    </button>
  )
}

/** A moving line over time. `times` in seconds since the epoch, as long as `values`. */
export function LiveChart(props: {
  times: readonly number[]
  values: readonly number[]
  label: string
}): ReactNode {
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(null)
  useEffect(() => {
    const element = host.current
    if (element === null) return undefined
    const style = getComputedStyle(document.documentElement)
    const soft = style.getPropertyValue('--soft')
    const grid = { stroke: style.getPropertyValue('--line'), width: 1 }
    const chart = new UPlot(
      {
        width: element.clientWidth,
        height: 110,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { range: (_u, _min, max) => [max - CHART_SECONDS, max] },
          y: { range: (_u, _min, max) => [0, Math.max(10, max * 1.15)] },
        },
        axes: [
          { stroke: soft, grid: { show: false }, size: 26 },
          { stroke: soft, grid, size: 50 },
        ],
        series: [
          {},
          {
            label: props.label,
            stroke: style.getPropertyValue('--accent'),
            fill: style.getPropertyValue('--accent-soft'),
            width: 2,
            points: { show: false },
          },
        ],
      },
      [[], []],
      element,
    )
    plot.current = chart
    const observer = new ResizeObserver(() =>
      chart.setSize({ width: element.clientWidth, height: 110 }),
    )
    observer.observe(element)
    return () => {
      observer.disconnect()
      chart.destroy()
    }
  }, [props.label])
  useEffect(() => {
    plot.current?.setData([[...props.times], [...props.values]])
  }, [props.times, props.values])
  return <div className="plot" ref={host} role="img" aria-label={props.label} />
}
