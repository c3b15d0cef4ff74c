import { useSignal } from '@preact/signals'
import { render } from 'preact'
import { useEffect } from 'preact/hooks'
import { problem, signIn, signOut, token } from './api.ts'
import { ConfigurationPage } from './configuration.tsx'
import { Inspector } from './feed.tsx'
import { span } from './format.ts'
import { HistoryPage } from './history.tsx'
import { Live } from './live.tsx'
import { MemoryPage } from './memory.tsx'
import { OverviewPage } from './overview.tsx'
import { Mark } from './parts.tsx'
import { PlaygroundPage } from './playground.tsx'
import { chosen, hub, isConnected, route } from './state.ts'
import { SubscribersPage } from './subscribers.tsx'
import { TopicsPage } from './topics.tsx'

const pages = [
  { group: 'Hub', name: 'overview', title: 'Overview', page: OverviewPage, icon: 'M2 9h3l2-5 3 9 2-6h2' },
  { group: 'Hub', name: 'live', title: 'Live', page: Live, icon: 'M3 4h10M3 8h7M3 12h9' },
  {
    group: 'Hub',
    name: 'topics',
    title: 'Topics',
    page: TopicsPage,
    icon: 'M6 2L4.5 14M11.5 2L10 14M2.5 5.5h12M1.5 10.5h12',
  },
  {
    group: 'Hub',
    name: 'subscribers',
    title: 'Subscribers',
    page: SubscribersPage,
    icon: 'M8 8a2.6 2.6 0 100-5.2A2.6 2.6 0 008 8zM3 13.5c.4-2.6 2.4-4 5-4s4.6 1.4 5 4',
  },
  {
    group: 'Hub',
    name: 'history',
    title: 'History',
    page: HistoryPage,
    icon: 'M8 4.5V8l2.5 1.6M2.2 8a5.8 5.8 0 105.8-5.8A5.8 5.8 0 003 5.2M2.6 2.4v3h3',
  },
  { group: 'Try', name: 'playground', title: 'Playground', page: PlaygroundPage, icon: 'M4.5 3l8 5-8 5z' },
  {
    group: 'Set up',
    name: 'memory',
    title: 'Memory',
    page: MemoryPage,
    icon: 'M4.5 4.5h7v7h-7zM6.5 2v2.5M9.5 2v2.5M6.5 11.5V14M9.5 11.5V14M2 6.5h2.5M2 9.5h2.5M11.5 6.5H14M11.5 9.5H14',
  },
  {
    group: 'Set up',
    name: 'configuration',
    title: 'Configuration',
    page: ConfigurationPage,
    icon: 'M2 4.5h7M12 4.5h2M2 11.5h2M7 11.5h7M10.5 3v3M5.5 10v3',
  },
] as const

function Console() {
  const current = pages.find(({ name }) => name === route.value) ?? pages[0]
  const Page = current.page
  const about = hub.value
  // In a narrow window the pages are one line, which scrolls.
  useEffect(() => {
    document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [current.name])
  document.title = `${current.title} · cinnabar`
  return (
    <>
      <nav aria-label="Pages">
        <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
          Skip to the page
        </button>
        <a class="brand" href="#/overview">
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path class="a" d="M10 1l8 6-3 11H5L2 7z" />
            <path class="b" d="M10 1l3 7-3 10-3-10z" />
          </svg>
          cinnabar
        </a>
        {['Hub', 'Try', 'Set up'].map((group) => (
          <div class="group" key={group}>
            <h2>{group}</h2>
            {pages
              .filter((page) => page.group === group)
              .map(({ name, title, icon }) => (
                <a
                  key={name}
                  href={`#/${name}`}
                  {...(name === current.name ? { 'aria-current': 'page' as const } : {})}
                >
                  <svg viewBox="0 0 16 16" aria-hidden="true">
                    <path d={icon} />
                  </svg>
                  {title}
                </a>
              ))}
          </div>
        ))}
        <div class="about">
          {about !== null && (
            <p>
              {about.version} <span>{about.commit.slice(0, 7)}</span>
            </p>
          )}
          {about !== null && <p>up {span((Date.now() - about.startedAt) / 1000)}</p>}
        </div>
      </nav>
      <div
        class={`body ${chosen.value !== null && (current.name === 'live' || current.name === 'history') ? 'with-inspector' : ''}`}
      >
        <header class="top">
          <h1>{current.title}</h1>
          {about !== null && <code class="address">{about.address}</code>}
          <span class={`link ${isConnected.value ? '' : 'off'}`} role="status">
            <i aria-hidden="true" />
            {isConnected.value ? 'live' : token.value === null ? 'signed out' : 'connecting'}
          </span>
          <Theme />
          {token.value !== null && (
            <button type="button" class="small" onClick={signOut}>
              Sign out
            </button>
          )}
        </header>
        <main id="main" tabIndex={-1}>
          {problem.value !== null && (
            <p class="problem" role="alert">
              <Mark level="bad" />
              {problem.value}
            </p>
          )}
          {token.value === null ? <SignIn /> : <Page key={current.name} />}
        </main>
      </div>
      {(current.name === 'live' || current.name === 'history') && <Inspector />}
    </>
  )
}

function Theme() {
  const scheme = useSignal(localStorage.getItem('scheme') ?? 'auto')
  const next = { auto: 'light', light: 'dark', dark: 'auto' }[scheme.value] ?? 'auto'
  document.documentElement.dataset['scheme'] = scheme.value
  return (
    <button
      type="button"
      class="small theme"
      title={`Change to ${next}`}
      onClick={() => {
        localStorage.setItem('scheme', next)
        scheme.value = next
      }}
    >
      <span class="hidden">Appearance: </span>
      <svg class="half" viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="5.5" />
        <path d="M8 2.5a5.5 5.5 0 010 11z" />
      </svg>
      <span class="word">{{ auto: 'Auto', light: 'Light', dark: 'Dark' }[scheme.value]}</span>
    </button>
  )
}

function SignIn() {
  const value = useSignal('')
  return (
    <form
      class="card sign-in"
      onSubmit={(event) => {
        event.preventDefault()
        signIn(value.value.trim())
      }}
    >
      <h2>Sign in</h2>
      <p class="quiet">
        With the token that is <code>admin.token</code>. <code>cinnabar serve --dev</code> prints an address
        that holds it.
      </p>
      <label class="field">
        <span>Token</span>
        <input
          type="password"
          autocomplete="off"
          required
          value={value.value}
          onInput={(event) => {
            value.value = event.currentTarget.value
          }}
        />
      </label>
      <div class="row">
        <button class="primary" type="submit">
          Sign in
        </button>
        <span class="quiet">It is kept in this tab until you close it.</span>
      </div>
    </form>
  )
}

const place = document.getElementById('console')
if (place !== null) render(<Console />, place)
