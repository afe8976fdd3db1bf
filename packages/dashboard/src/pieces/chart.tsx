/**
 * Lines over time, and the same figures as a table for who cannot see them. The drawing is for the eye alone.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { exactTime } from './time.js'

export interface Series {
  readonly label: string
  readonly tone: 1 | 2 | 3 | 4
  readonly values: readonly number[]
}

interface ChartProps {
  /** What is drawn, in words. */
  readonly title: string
  /** Since 1970, in seconds. */
  readonly times: readonly number[]
  readonly series: readonly Series[]
  readonly isBars?: boolean
  readonly format?: (value: number) => string
}

const HEIGHT = 190
const plain = (value: number) => value.toLocaleString('en', { maximumFractionDigits: 2 })

export function Chart({ title, times, series, isBars = false, format = plain }: ChartProps) {
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot | undefined>(undefined)
  const isDark = usePrefersDark()
  const shape = series.map(({ label, tone }) => `${tone}${label}`).join('\n')
  const data = [times, ...series.map(({ values }) => values)] as unknown as UPlot.AlignedData

  useEffect(() => {
    const element = host.current
    if (element === null) return undefined
    const made = new UPlot(optionsOf(element, series, isBars, format), data, element)
    plot.current = made
    const watcher = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    watcher.observe(element)
    return () => {
      watcher.disconnect()
      made.destroy()
    }
  }, [shape, isDark, isBars])

  useEffect(() => plot.current?.setData(data), [times, series])

  return (
    <figure class="stack-tight">
      <div class="legend-row" aria-hidden="true">
        {series.map(({ label, tone }) => (
          <span class="legend-key" data-tone={tone} key={label}>
            {label}
          </span>
        ))}
      </div>
      <div class="chart" ref={host} aria-hidden="true" />
      <Figures title={title} times={times} series={series} format={format} />
    </figure>
  )
}

function Figures({ title, times, series, format = plain }: Omit<ChartProps, 'isBars'>) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Figures as a table</summary>
      {isOpen && (
        <div class="scroll" tabIndex={0} role="region" aria-label={title}>
          <table>
            <caption class="visually-hidden">{title}</caption>
            <thead>
              <tr>
                <th scope="col">Minute</th>
                {series.map(({ label }) => (
                  <th scope="col" class="right" key={label}>
                    {label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times
                .map((time, i) => (
                  <tr key={time}>
                    <td class="nowrap">{exactTime(time)}</td>
                    {series.map(({ label, values }) => (
                      <td class="right" key={label}>
                        {format(values[i] ?? 0)}
                      </td>
                    ))}
                  </tr>
                ))
                .reverse()}
            </tbody>
          </table>
        </div>
      )}
    </details>
  )
}

function optionsOf(
  element: HTMLElement,
  series: readonly Series[],
  isBars: boolean,
  format: (value: number) => string,
): UPlot.Options {
  const style = getComputedStyle(element)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const grid = { stroke: colour('--line'), width: 1 }
  const axis = { stroke: colour('--ink-faint'), font: `12px ${colour('--sans')}`, ticks: { show: false } }
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 18, 0, 0],
    scales: { y: { range: (_plot, _min, max) => [0, Math.max(max * 1.15, 1)] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 70, values: (_plot, ticks) => ticks.map(clock) },
      { ...axis, grid, size: 46, space: 42, values: (_plot, ticks) => ticks.map(format) },
    ],
    series: [
      {},
      ...series.map(({ label, tone }) => {
        const stroke = colour(`--chart-${tone}`)
        const line = { label, stroke, width: 2, points: { show: false } }
        const bars = UPlot.paths.bars
        return isBars && bars !== undefined
          ? { ...line, width: 0, fill: stroke, paths: bars({ size: [0.62, 18], radius: 0.25 }) }
          : line
      }),
    ],
  }
}

function clock(seconds: number): string {
  const date = new Date(seconds * 1000)
  return `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`
}

function usePrefersDark(): boolean {
  const query = useRef(matchMedia('(prefers-color-scheme: dark)'))
  const [isDark, setDark] = useState(query.current.matches)
  useEffect(() => {
    const { current } = query
    const changed = () => setDark(current.matches)
    current.addEventListener('change', changed)
    return () => current.removeEventListener('change', changed)
  }, [])
  return isDark
}
