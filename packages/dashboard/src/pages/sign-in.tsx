/** Signing in with the key of a client, at the beginning and when a session has ended. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Dialog } from '../pieces/dialog.js'
import { Field } from '../pieces/field.js'
import { Mark } from '../pieces/icon.js'
import { Notice } from '../pieces/state.js'
import { focusNextPage } from '../pieces/page.js'
import { explain, Refused, Unreachable } from '../service/ask.js'
import { session, signIn, signOut, signOutFailure } from '../service/session.js'

export function SignInPage() {
  useLayoutEffect(() => {
    document.title = 'Sign in – Rescind'
    focusNextPage()
  }, [])
  return (
    <main class="sign-in">
      <div class="sign-in-box">
        <span class="brand">
          <Mark />
          Rescind
        </span>
        <SignOutFailure />
        <div class="card stack">
          <div>
            <h1>Sign in</h1>
            <p class="soft">See what is revoked, and stop a session within seconds.</p>
          </div>
          <SignInForm />
        </div>
        <p class="faint">
          The key stays out of this page: the service keeps a session in a cookie that no script can read, for
          30 minutes without use and 8 hours at most.
        </p>
      </div>
    </main>
  )
}

function SignOutFailure() {
  const { value: error } = signOutFailure
  if (error === undefined) return null
  if (error instanceof Unreachable)
    return (
      <Notice tone="warning" title="The service has not heard that you sign out" isAlert>
        This browser may be signed in still. Close it, or load this page again and sign out when the service
        answers.
      </Notice>
    )
  return (
    <Notice tone="warning" title="The session could not be revoked" isAlert>
      This browser has forgotten it. A copy of it would be good until it ends by itself, within half an hour.
    </Notice>
  )
}

/** Over the page, which stays as it is: nothing that stands there is lost. */
export function SignInAgain() {
  return (
    <Dialog title="The session has ended">
      <p class="soft">
        It was not used for a while, or it was revoked. What you see stays here: sign in again to go on.
      </p>
      <SignInForm />
      <button type="button" class="button button-quiet" onClick={() => void signOut()}>
        Leave this page
      </button>
    </Dialog>
  )
}

function SignInForm() {
  const input = useRef<HTMLInputElement>(null)
  const [problem, setProblem] = useState<string>()
  const [isBusy, setBusy] = useState(false)
  useLayoutEffect(() => input.current?.focus(), [])

  const submit = async (event: Event) => {
    event.preventDefault()
    const key = input.current?.value.trim() ?? ''
    if (key === '') {
      setProblem('Paste the key of a client.')
      input.current?.focus()
      return
    }
    setBusy(true)
    setProblem(undefined)
    try {
      await signIn(key)
    } catch (error) {
      setProblem(signInProblem(error))
      input.current?.select()
    } finally {
      setBusy(false)
    }
  }

  return (
    <form class="stack" onSubmit={(event) => void submit(event)} noValidate>
      {/* Which of several keys a password manager shall offer. */}
      <input
        type="text"
        name="username"
        autoComplete="username"
        value={session.value?.client.id ?? 'rescind'}
        readOnly
        hidden
      />
      <Field
        label="Key"
        hint={
          <>
            The first admin’s is in the file <code>admin-key</code> of the data folder.
          </>
        }
        problem={problem}
      >
        {(ids) => (
          <input
            {...ids}
            ref={input}
            type="password"
            name="key"
            class="mono"
            autoComplete="current-password"
            autoCapitalize="none"
            spellcheck={false}
            maxLength={512}
            placeholder="rsk_…"
          />
        )}
      </Field>
      <button class="button button-main" type="submit" disabled={isBusy} aria-busy={isBusy}>
        {isBusy ? 'Signing in…' : 'Sign in'}
      </button>
    </form>
  )
}

function signInProblem(error: unknown): string {
  if (error instanceof Refused) {
    if (error.status === 401) return 'This key is not accepted. Look for a part that was not copied.'
    if (error.status === 403 && error.code === 'role_insufficient')
      return 'This key is right, but its client may not use the dashboard: it needs the role read, revoke:any or admin.'
    if (error.status === 429)
      return `Too many wrong keys. Try again in ${error.retryAfterSeconds ?? 'a few'} seconds.`
  }
  const { title, detail } = explain(error)
  return `${title}. ${detail}`
}
