import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { get, token } from './api.ts'

/** An answer of the API, the problem with the last question, and a function that asks again. */
export interface Asked<T> {
  readonly answer: T | null
  readonly problem: string | null
  readonly again: () => void
}

/** Asks while the page is looked at: once with `everyMs` 0. An answer to an older question is dropped. */
export function useAsked<T>(path: string, everyMs: number): Asked<T> {
  const state = useSignal<{ answer: T | null; problem: string | null }>({ answer: null, problem: null })
  const round = useSignal(0)
  useEffect(() => {
    const abort = new AbortController()
    const ask = () => {
      if (document.hidden) return
      get<T>(path, abort.signal).then(
        (answer) => {
          if (!abort.signal.aborted) state.value = { answer, problem: null }
        },
        (error: Error) => {
          if (!abort.signal.aborted) state.value = { ...state.peek(), problem: error.message }
        },
      )
    }
    ask()
    const timer = everyMs === 0 ? undefined : setInterval(ask, everyMs)
    return () => {
      abort.abort()
      clearInterval(timer)
    }
  }, [path, token.value, round.value, everyMs])
  const again = () => {
    round.value++
  }
  return { ...state.value, again }
}
