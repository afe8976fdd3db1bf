/** Making a client and a key, and showing the key this once. */
import { useState } from 'preact/hooks'
import { Dialog } from '../pieces/dialog.js'
import { Choices, TextField } from '../pieces/field.js'
import { Failure, Notice } from '../pieces/state.js'
import { ask } from '../service/ask.js'
import type { Role } from '../service/session.js'
import type { MadeKey, ServiceClient } from '../service/types.js'

const ROLES: readonly (readonly [Role, string])[] = [
  ['read', 'may look at everything and change nothing'],
  ['revoke:own', 'may revoke tokens that were issued to it'],
  ['revoke:any', 'may revoke and restore anything'],
  ['introspect', 'may ask about tokens of its audiences'],
  ['admin', 'may do everything'],
]
const ID = /^[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$/

interface MakeProps {
  readonly onClose: () => void
  readonly onMade: (made: MadeKey) => void
}

export function MakeClient({ onClose, onMade }: MakeProps) {
  const [id, setId] = useState('')
  const [name, setName] = useState('')
  const [roles, setRoles] = useState<readonly Role[]>(['read'])
  const [audiences, setAudiences] = useState('')
  const form = useSubmit(async () => {
    const wanted = audiences.split(/[\s,]+/).filter((audience) => audience !== '')
    onMade(
      await ask<MadeKey>('/api/v1/clients', {
        method: 'POST',
        body: {
          id,
          roles,
          ...(name.trim() === '' ? {} : { name: name.trim() }),
          ...(roles.includes('introspect') ? { audiences: wanted.length === 0 ? '*' : wanted } : {}),
        },
      }),
    )
  })
  const isReady = ID.test(id) && roles.length > 0 && !form.isBusy
  return (
    <Dialog title="Make a client" onClose={onClose}>
      <form class="stack" onSubmit={(event) => (isReady ? form.submit(event) : event.preventDefault())}>
        <TextField
          label="Id"
          hint="Letters, digits and . _ - @ /"
          problem={id === '' || ID.test(id) ? undefined : 'This cannot be an id.'}
          value={id}
          onInput={(text) => setId(text.trim())}
          maxLength={128}
          isCode
        />
        <TextField label="Name" hint="For people. Optional." value={name} onInput={setName} maxLength={256} />
        <RoleChoice roles={roles} onChange={setRoles} />
        {roles.includes('introspect') && (
          <TextField
            label="Audiences"
            hint="Whose tokens it may see, with spaces between. Empty: all."
            value={audiences}
            onInput={setAudiences}
            isCode
          />
        )}
        {form.error !== undefined && <Failure error={form.error} />}
        <Buttons label="Make it" isReady={isReady} onClose={onClose} />
      </form>
    </Dialog>
  )
}

interface RoleChoiceProps {
  readonly roles: readonly Role[]
  readonly onChange: (roles: readonly Role[]) => void
}

function RoleChoice({ roles, onChange }: RoleChoiceProps) {
  return (
    <fieldset class="stack-tight">
      <legend class="legend">Roles</legend>
      {ROLES.map(([role, text]) => (
        <label class="check" key={role}>
          <input
            type="checkbox"
            checked={roles.includes(role)}
            onChange={({ currentTarget: { checked } }) =>
              onChange(checked ? [...roles, role] : roles.filter((other) => other !== role))
            }
          />
          <span>
            <code>{role}</code> <span class="hint">{text}</span>
          </span>
        </label>
      ))}
    </fieldset>
  )
}

type Keep = 'stay' | 'hour' | 'now'
const KEEP_SECONDS: Readonly<Record<Keep, number | undefined>> = { stay: undefined, hour: 3600, now: 0 }

export function RotateKey({ client, onClose, onMade }: MakeProps & { readonly client: ServiceClient }) {
  const [keep, setKeep] = useState<Keep>('hour')
  const form = useSubmit(async () => {
    const keepSeconds = KEEP_SECONDS[keep]
    onMade(
      await ask<MadeKey>(`/api/v1/clients/${encodeURIComponent(client.id)}/keys`, {
        method: 'POST',
        body: keepSeconds === undefined ? {} : { keepSeconds },
      }),
    )
  })
  return (
    <Dialog title={`New key for ${client.id}`} onClose={onClose}>
      <form class="stack" onSubmit={form.submit}>
        <Choices<Keep>
          legend="Its other keys"
          hint={
            keep === 'now'
              ? 'Whoever uses one is refused at once: right for a key that has leaked.'
              : undefined
          }
          value={keep}
          options={[
            ['hour', 'end in an hour'],
            ['now', 'end now'],
            ['stay', 'stay'],
          ]}
          onChange={setKeep}
        />
        {form.error !== undefined && <Failure error={form.error} />}
        <Buttons label="Make the key" isReady={!form.isBusy} onClose={onClose} />
      </form>
    </Dialog>
  )
}

/** Browsers let a page copy by TLS and on this machine alone. */
const CAN_COPY = 'clipboard' in navigator

/** It cannot be closed by accident: the key is not shown again. */
export function SecretDialog({ made, onClose }: { readonly made: MadeKey; readonly onClose: () => void }) {
  const { client, key } = made
  const [isCopied, setCopied] = useState(false)
  return (
    <Dialog title={`The key of ${client.id}`}>
      {key === undefined ? (
        <Notice tone="warning" title="It was shown before">
          Make another one.
        </Notice>
      ) : (
        <>
          <p>It is shown this once, and kept nowhere but as a hash. Put it where it belongs now.</p>
          <code class="secret" tabIndex={0} aria-label="Key">
            {key}
          </code>
        </>
      )}
      <div class="row row-end">
        {key !== undefined && CAN_COPY && (
          <button
            type="button"
            class="button"
            onClick={() => void navigator.clipboard.writeText(key).then(() => setCopied(true))}
          >
            <span role="status">{isCopied ? 'Copied' : 'Copy'}</span>
          </button>
        )}
        <button type="button" class="button button-main" onClick={onClose}>
          I have it
        </button>
      </div>
    </Dialog>
  )
}

interface ButtonsProps {
  readonly label: string
  readonly isReady: boolean
  readonly onClose: () => void
}

function Buttons({ label, isReady, onClose }: ButtonsProps) {
  return (
    <div class="row row-end">
      <button type="button" class="button" onClick={onClose}>
        Never mind
      </button>
      <button class="button button-main" type="submit" disabled={!isReady}>
        {label}
      </button>
    </div>
  )
}

function useSubmit(work: () => Promise<void>) {
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const submit = (event: Event) => {
    event.preventDefault()
    if (isBusy) return
    setBusy(true)
    setError(undefined)
    work().catch((failure: unknown) => {
      setError(failure)
      setBusy(false)
    })
  }
  return { isBusy, error, submit }
}
