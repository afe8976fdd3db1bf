/** The frame: who is signed in, where one is, and whether what is shown is live. */
import type { ComponentType } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { AuditPage } from './pages/audit.js'
import { CheckPage } from './pages/check.js'
import { ClientsPage } from './pages/clients.js'
import { NodesPage } from './pages/nodes.js'
import { OverviewPage } from './pages/overview.js'
import { RevocationsPage } from './pages/revocations.js'
import { RevokePage } from './pages/revoke.js'
import { SignInAgain, SignInPage } from './pages/sign-in.js'
import { Icon, type IconName, Mark } from './pieces/icon.js'
import { Page } from './pieces/page.js'
import { Empty, Failure, Loading } from './pieces/state.js'
import { hrefTo, place } from './router.js'
import { followChanges, liveState } from './service/live.js'
import { hasEnded, keepSession, loadSession, mayRead, session, signOut } from './service/session.js'
import { useLoad } from './service/use-load.js'

interface Entry {
  readonly path: string
  readonly label: string
  readonly icon: IconName
  readonly page: ComponentType
}

const PAGES: readonly Entry[] = [
  { path: '', label: 'Overview', icon: 'overview', page: OverviewPage },
  { path: 'revoke', label: 'Revoke', icon: 'revoke', page: RevokePage },
  { path: 'revocations', label: 'Revocations', icon: 'revocations', page: RevocationsPage },
  { path: 'check', label: 'Check', icon: 'check', page: CheckPage },
  { path: 'nodes', label: 'Nodes', icon: 'nodes', page: NodesPage },
  { path: 'audit', label: 'Audit', icon: 'audit', page: AuditPage },
  { path: 'clients', label: 'Clients', icon: 'clients', page: ClientsPage },
]

export function App() {
  const began = useLoad(loadSession, 'session')
  useEffect(keepSession, [])
  if (session.value === undefined) {
    if (began.error === undefined) return <Loading what="who is signed in" />
    return (
      <main class="sign-in">
        <div class="sign-in-box">
          <Failure error={began.error} onRetry={began.reload} />
        </div>
      </main>
    )
  }
  return session.value === null ? <SignInPage /> : <Shell />
}

function Shell() {
  const follows = mayRead.value && !hasEnded.value
  useEffect(() => (follows ? followChanges() : undefined), [follows])
  const { path } = place.value
  const entry = PAGES.find((other) => other.path === path)
  return (
    <>
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <div class="shell">
        <Side path={path} />
        <div>
          {follows && <Banner />}
          <main id="main" tabIndex={-1}>
            {entry === undefined ? <NoPage /> : <entry.page key={path} />}
          </main>
        </div>
      </div>
      {hasEnded.value && <SignInAgain />}
    </>
  )
}

function Side({ path }: { readonly path: string }) {
  const list = useRef<HTMLUListElement>(null)
  // On a phone the list is a strip: where one is can be seen.
  useEffect(() => {
    list.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [path])
  return (
    <header class="side">
      <a class="brand" href={hrefTo('')} aria-label="Rescind, to the overview">
        <Mark />
        Rescind
      </a>
      <nav class="nav" aria-label="Pages">
        <ul ref={list}>
          {PAGES.map(({ path: other, label, icon }) => (
            <li key={other}>
              <a href={hrefTo(other)} aria-current={other === path ? 'page' : undefined}>
                <Icon name={icon} />
                {label}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="side-foot">
        <Live />
        <Who />
      </div>
    </header>
  )
}

const BANNER_TEXT = {
  stale: 'Not live: the service cannot hear from its store. What you see may be old.',
  lost: 'Not live: the connection to the service is lost. What you see may be old. Trying again…',
} as const

function Banner() {
  const state = liveState.value
  if (state !== 'lost' && state !== 'stale') return null
  return (
    <div class="banner" role="alert">
      {BANNER_TEXT[state]}
    </div>
  )
}

const LIVE_TEXT = { live: 'Live', connecting: 'Connecting…', stale: 'Not live', lost: 'Not live' } as const

function Live() {
  if (!mayRead.value) return <span class="live">Not live for your role</span>
  const state = hasEnded.value ? 'lost' : liveState.value
  return (
    <span class="live" data-state={state} role="status">
      {LIVE_TEXT[state]}
    </span>
  )
}

function Who() {
  const { client } = session.value ?? {}
  return (
    <div class="who">
      <div class="who-name">
        <b>{client?.name ?? client?.id}</b>
        <span class="faint">{client?.roles.join(', ')}</span>
      </div>
      <button
        type="button"
        class="icon-button"
        aria-label="Sign out"
        title="Sign out"
        onClick={() => void signOut()}
      >
        <Icon name="leave" />
      </button>
    </div>
  )
}

function NoPage() {
  return (
    <Page title="There is no such page">
      <Empty title="The address leads nowhere">
        <a class="button" href={hrefTo('')}>
          To the overview
        </a>
      </Empty>
    </Page>
  )
}
