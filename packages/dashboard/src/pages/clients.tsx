/** Who may ask the service: made, given new keys, and shut out. A key is shown once. */
import { useState } from 'preact/hooks'
import { Dialog } from '../pieces/dialog.js'
import { Page } from '../pieces/page.js'
import { Awaited, Empty, Failure, Notice } from '../pieces/state.js'
import { Time } from '../pieces/time.js'
import { ask } from '../service/ask.js'
import { isAdmin, mayRead } from '../service/session.js'
import type { MadeKey, ServiceClient } from '../service/types.js'
import { useLoad } from '../service/use-load.js'
import { MakeClient, RotateKey, SecretDialog } from './client-dialogs.js'

type Open =
  | { readonly what: 'make' }
  | { readonly what: 'rotate'; readonly client: ServiceClient }
  | { readonly what: 'disable'; readonly client: ServiceClient }
  | { readonly what: 'secret'; readonly made: MadeKey }

export function ClientsPage() {
  const [open, setOpen] = useState<Open>()
  const close = () => setOpen(undefined)
  const clients = useLoad(
    (signal) =>
      mayRead.value
        ? ask<{ clients: ServiceClient[] }>('/api/v1/clients', { signal })
        : Promise.resolve({ clients: [] }),
    'clients',
  )
  const done = (made: MadeKey) => {
    setOpen({ what: 'secret', made })
    clients.reload()
  }
  return (
    <Page
      title="Clients"
      lead="Programs and people that may ask this service, and for what."
      actions={
        isAdmin.value && (
          <button type="button" class="button button-main" onClick={() => setOpen({ what: 'make' })}>
            Make a client…
          </button>
        )
      }
    >
      {!mayRead.value ? (
        <Notice title="Your role may revoke, but not read">
          The clients are for clients with the role <code>read</code>.
        </Notice>
      ) : (
        <section class="card" aria-label="Clients">
          <Awaited loaded={clients} what="the clients">
            {(value) => <ClientTable clients={value.clients} onOpen={setOpen} />}
          </Awaited>
        </section>
      )}
      {open?.what === 'make' && <MakeClient onClose={close} onMade={done} />}
      {open?.what === 'rotate' && <RotateKey client={open.client} onClose={close} onMade={done} />}
      {open?.what === 'secret' && <SecretDialog made={open.made} onClose={close} />}
      {open?.what === 'disable' && (
        <SwitchDialog
          client={open.client}
          onClose={close}
          onDone={() => {
            close()
            clients.reload()
          }}
        />
      )}
    </Page>
  )
}

interface ClientTableProps {
  readonly clients: readonly ServiceClient[]
  readonly onOpen: (open: Open) => void
}

function ClientTable({ clients, onOpen }: ClientTableProps) {
  if (clients.length === 0) return <Empty title="No client is known" />
  return (
    <div class="table-wrap">
      <table class="table-cards">
        <thead>
          <tr>
            <th scope="col">Client</th>
            <th scope="col">Roles</th>
            <th scope="col">Keys</th>
            <th scope="col">State</th>
            {isAdmin.value && (
              <th scope="col">
                <span class="visually-hidden">Change</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {clients.map((client) => (
            <ClientRow key={client.id} client={client} onOpen={onOpen} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function ClientRow({
  client,
  onOpen,
}: { readonly client: ServiceClient } & Pick<ClientTableProps, 'onOpen'>) {
  const { id, name, roles, keys, isDisabled, source } = client
  return (
    <tr>
      <td data-name="Client">
        <span>
          <b>{id}</b>
          {name !== undefined && <span class="soft"> {name}</span>}
        </span>
      </td>
      <td data-name="Roles">
        <span class="claims">
          {roles.map((role) => (
            <span class="badge" key={role}>
              {role}
            </span>
          ))}
        </span>
      </td>
      <td data-name="Keys">
        <KeyList keys={keys} />
      </td>
      <td data-name="State">
        <span class={`badge ${isDisabled ? 'badge-danger' : 'badge-good'}`}>
          {isDisabled ? 'disabled' : 'active'}
        </span>
      </td>
      {isAdmin.value && (
        <td data-name="Change" class="right">
          {source === 'config' ? (
            <span class="faint nowrap">in the configuration</span>
          ) : (
            <span class="row row-end">
              <button
                type="button"
                class="button button-small"
                aria-label={`New key for ${id}`}
                onClick={() => onOpen({ what: 'rotate', client })}
              >
                New key…
              </button>
              <button
                type="button"
                class="button button-small"
                aria-label={`${isDisabled ? 'Enable' : 'Disable'} ${id}`}
                onClick={() => onOpen({ what: 'disable', client })}
              >
                {isDisabled ? 'Enable…' : 'Disable…'}
              </button>
            </span>
          )}
        </td>
      )}
    </tr>
  )
}

function KeyList({ keys }: Pick<ServiceClient, 'keys'>) {
  if (keys.length === 0) return <span class="soft">a key set of its own</span>
  return (
    <ul class="key-list">
      {keys.map(({ id, name, expiresAt }, i) => (
        <li key={id ?? i}>
          <code>{id ?? 'not made here'}</code>
          {name !== undefined && <span class="soft"> {name}</span>}
          {expiresAt !== undefined && (
            <span class="faint">
              {' '}
              {expiresAt * 1000 < Date.now() ? 'ended' : 'ends'} <Time seconds={expiresAt} />
            </span>
          )}
        </li>
      ))}
    </ul>
  )
}

interface SwitchProps {
  readonly client: ServiceClient
  readonly onClose: () => void
  readonly onDone: () => void
}

function SwitchDialog({ client: { id, isDisabled }, onClose, onDone }: SwitchProps) {
  const [error, setError] = useState<unknown>()
  const [isBusy, setBusy] = useState(false)
  const change = async () => {
    setBusy(true)
    try {
      await ask(`/api/v1/clients/${encodeURIComponent(id)}`, {
        method: 'PATCH',
        body: { isDisabled: !isDisabled },
      })
      onDone()
    } catch (failure) {
      setError(failure)
      setBusy(false)
    }
  }
  return (
    <Dialog title={isDisabled ? `Enable ${id}?` : `Disable ${id}?`} onClose={onClose}>
      <p>
        {isDisabled
          ? 'Its keys are accepted again.'
          : 'None of its keys is accepted from now on, and who is signed in with one is signed out.'}
      </p>
      {error !== undefined && <Failure error={error} />}
      <div class="row row-end">
        <button type="button" class="button" onClick={onClose}>
          Leave it
        </button>
        <button
          type="button"
          class={`button ${isDisabled ? 'button-main' : 'button-danger'}`}
          disabled={isBusy}
          aria-busy={isBusy}
          onClick={() => void change()}
        >
          {isDisabled ? 'Enable' : 'Disable'}
        </button>
      </div>
    </Dialog>
  )
}
