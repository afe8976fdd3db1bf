/** Something that the service is asked for, and what is known of it so far. What was known stays while it is read again. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'

export interface Loaded<T> {
  readonly value: T | undefined
  readonly error: unknown
  readonly isLoading: boolean
  readonly reload: () => void
}

/**
 * `key`: what is asked for; another one begins anew. `refresh`: whenever it changes, the same is read again, but not before
 * what is being read has come, and then only after as long a rest: news that come faster neither break off a long look nor
 * have the service look all the time.
 */
export function useLoad<T>(
  load: (signal: AbortSignal) => Promise<T>,
  key: string,
  refresh: unknown = 0,
): Loaded<T> {
  const [state, setState] = useState<{ key: string; value?: T; error?: unknown; isLoading: boolean }>({
    key,
    isLoading: true,
  })
  const [again, setAgain] = useState(0)
  const latest = useRef(load)
  latest.current = load
  const wanted = `${String(refresh)} ${again}`
  const reader = useRef<{ wanted: string; read: () => void } | undefined>(undefined)
  useEffect(() => {
    const leaving = new AbortController()
    let isReading = false
    let isDue = false
    const readOnce = async () => {
      setState((before) => (before.key === key ? { ...before, isLoading: true } : { key, isLoading: true }))
      try {
        const value = await latest.current(leaving.signal)
        if (!leaving.signal.aborted) setState({ key, value, isLoading: false })
      } catch (error) {
        if (!leaving.signal.aborted) setState((before) => ({ ...before, key, error, isLoading: false }))
      }
    }
    const read = async () => {
      isDue = true
      if (isReading) return
      isReading = true
      while (isDue && !leaving.signal.aborted) {
        isDue = false
        const startedAt = performance.now()
        await readOnce()
        if (isDue) await rest(performance.now() - startedAt)
      }
      isReading = false
    }
    reader.current = { wanted, read: () => void read() }
    reader.current.read()
    return () => leaving.abort()
  }, [key])
  useEffect(() => {
    if (reader.current === undefined || reader.current.wanted === wanted) return
    reader.current.wanted = wanted
    reader.current.read()
  }, [wanted])
  const reload = useCallback(() => setAgain((count) => count + 1), [])
  const isCurrent = state.key === key
  return {
    value: isCurrent ? state.value : undefined,
    // Until what is being read has come: a failure that goes on shall not flicker.
    error: isCurrent ? state.error : undefined,
    isLoading: state.isLoading || !isCurrent,
    reload,
  }
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** A number that grows every so often while the page can be seen. */
export function useEvery(ms: number): number {
  const [count, setCount] = useState(0)
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setCount((before) => before + 1)
    }, ms)
    return () => clearInterval(timer)
  }, [ms])
  return count
}
