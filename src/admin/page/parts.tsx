import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'

/** The few pieces that every page is made of. */

export function Card({
  title,
  aside,
  children,
  class: name = '',
}: {
  title?: string
  aside?: ComponentChildren
  children: ComponentChildren
  class?: string
}) {
  return (
    <section class={`card ${name}`} {...(title === undefined ? {} : { 'aria-label': title })}>
      {title !== undefined && (
        <header>
          <h2>{title}</h2>
          {aside !== undefined && <div class="aside">{aside}</div>}
        </header>
      )}
      {children}
    </section>
  )
}

export type Level = 'good' | 'info' | 'warn' | 'bad'

const shapes: Readonly<Record<Level, string>> = {
  good: 'M3.5 8.4l3 3 6-6.6',
  info: 'M8 1.6a6.4 6.4 0 110 12.8A6.4 6.4 0 018 1.6M8 7.4v3.8M8 4.7v.1',
  warn: 'M8 1.8l6.6 12H1.4zM8 6.2v3.6M8 11.8v.1',
  bad: 'M5.3 1.6h5.4l3.7 3.7v5.4l-3.7 3.7H5.3l-3.7-3.7V5.3zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4',
}

/** A state in a shape. Words stand beside it: colour only repeats them. */
export function Mark({ level }: { level: Level }) {
  return (
    <svg class={`mark ${level}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={shapes[level]} />
    </svg>
  )
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p>{title}</p>
      {children !== undefined && <p class="quiet">{children}</p>}
    </div>
  )
}

export function Fact({
  name,
  whole = false,
  children,
}: {
  name: string
  whole?: boolean
  children: ComponentChildren
}) {
  return (
    <div class={whole ? 'fact whole' : 'fact'}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

export function Lock() {
  return (
    <svg class="lock" viewBox="0 0 16 16" aria-hidden="true">
      <path d="M4.5 7V5a3.5 3.5 0 017 0v2" />
      <rect x="3" y="7" width="10" height="7" rx="1.5" />
    </svg>
  )
}

/** Copies a text, and says that it did. */
export function Copy({ text, label = 'Copy' }: { text: string; label?: string }) {
  const said = useSignal('')
  const say = (word: string) => {
    said.value = word
    setTimeout(() => {
      said.value = ''
    }, 1500)
  }
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => say('Copied'),
      () => say('Not copied'),
    )
  return (
    <button type="button" class="small" onClick={() => void copy()}>
      <span aria-live="polite">{said.value === '' ? label : said.value}</span>
    </button>
  )
}

export function Trouble({ text }: { text: string | null }) {
  if (text === null) return null
  return (
    <p class="problem" role="alert">
      <Mark level="bad" />
      <span>{text.charAt(0).toUpperCase() + text.slice(1)}</span>
    </p>
  )
}

/** A table that may be wider than its card. The keyboard can scroll it. */
export function Scroll({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard.
    // biome-ignore lint/a11y/useSemanticElements: it groups no fields of a form.
    <div class="scroll" role="group" tabIndex={0} aria-label={name}>
      {children}
    </div>
  )
}
