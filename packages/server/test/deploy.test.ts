/** The files in `deploy` start a service that knows an issuer and how clients reach it, and name nothing that is not there. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { Writable } from 'node:stream'
import { promisify } from 'node:util'
import { MemoryStore } from 'rescind'
import { expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { CONFIG_VARIABLES, loadConfig } from '../src/config/load.js'
import { makeLog } from '../src/log.js'
import { Service } from '../src/service.js'
import { startWorld } from './support/service.js'

const DEPLOY = join(import.meta.dirname, '../../../deploy')
const CONFIG = join(DEPLOY, 'rescind.yaml')
/** What the library reads, and the file of the admin's key. */
const OTHERS = /^(REDIS_URL(_FILE)?|RESCIND_ADMIN_KEY_FILE)$/

const textOf = (file: string) => readFileSync(join(DEPLOY, file), 'utf8')

interface Container {
  readonly env: { readonly name: string; readonly value: string }[]
  readonly volumeMounts: { readonly name: string; readonly mountPath: string }[]
}
interface Deployment {
  readonly spec: {
    readonly template: {
      readonly spec: { readonly containers: [Container]; readonly volumes: { readonly name: string }[] }
    }
  }
}
interface Compose {
  readonly services: Readonly<
    Record<string, { readonly environment: Record<string, string>; readonly volumes: string[] }>
  >
}

const compose = parse(textOf('compose.yaml'), { merge: true }) as Compose
const [deployment] = parseAllDocuments(textOf('kubernetes.yaml')).map(
  (document) => document.toJS() as Deployment,
)
const pod = (deployment as Deployment).spec.template.spec
const unit = textOf('rescind.service')

const environments: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'compose.yaml, the first': compose.services['rescind-1']?.environment ?? {},
  'compose.yaml, the second': compose.services['rescind-2']?.environment ?? {},
  'kubernetes.yaml': Object.fromEntries(pod.containers[0].env.map(({ name, value }) => [name, value])),
  'rescind.service': Object.fromEntries(
    [...unit.matchAll(/^Environment=(\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
  ),
}

it.each(Object.entries(environments))(
  '%s: clients find the service, and it warns of nothing',
  async (_, env) => {
    expect(Object.keys(env).filter((name) => !CONFIG_VARIABLES.includes(name) && !OTHERS.test(name))).toEqual(
      [],
    )
    const { RESCIND_PUBLIC_URL: publicUrl, RESCIND_CONFIG: __, ...rest } = env
    // What is mounted, and Redis, are elsewhere: here the store is in memory, and keys are its own.
    const near = Object.fromEntries(Object.entries(rest).filter(([name]) => !/_FILE$|_DIR$/.test(name)))
    const { config } = loadConfig(
      { ...near, RESCIND_PUBLIC_URL: publicUrl, RESCIND_HOST: '0.0.0.0', RESCIND_PORT: '0' },
      { path: CONFIG },
    )
    let logged = ''
    const sink = new Writable({ write: (chunk: Buffer, __, done) => ((logged += chunk.toString()), done()) })
    await using service = await Service.start({
      config,
      log: makeLog('info', sink),
      store: new MemoryStore(),
    })
    expect(service.parts.issuers.names).toHaveLength(1)
    expect(logged).not.toContain('"level":40')
    const { port } = new URL(service.url)
    const answer = await fetch(`http://127.0.0.1:${port}/.well-known/oauth-authorization-server`)
    expect(await answer.json()).toMatchObject({
      issuer: publicUrl,
      revocation_endpoint: `${publicUrl}/revoke`,
    })
  },
)

it('each mounts the configuration where the service looks for it', () => {
  for (const name of ['rescind-1', 'rescind-2']) {
    const { environment, volumes } = compose.services[name] as Compose['services'][string]
    expect(volumes).toContain(`./rescind.yaml:${environment.RESCIND_CONFIG}:ro`)
  }
  const {
    containers: [{ volumeMounts }],
    volumes,
  } = pod
  const { RESCIND_CONFIG: path = '', ...env } = environments['kubernetes.yaml'] ?? {}
  expect(volumes.map(({ name }) => name).sort()).toEqual(volumeMounts.map(({ name }) => name).sort())
  expect(volumeMounts).toContainEqual({ name: 'config', mountPath: posix.dirname(path), readOnly: true })
  expect(textOf('kubernetes.yaml')).toContain(`--from-file=deploy/${posix.basename(path)}`)
  // Each secret is one of those that the comment makes.
  const secrets = Object.values(env).flatMap((value) => /^\/secrets\/(.*)$/.exec(value)?.[1] ?? [])
  expect(secrets.sort()).toEqual(
    [...textOf('kubernetes.yaml').matchAll(/--from-(?:literal|file)=([a-z-]+)(?=[= ]|$)/gm)]
      .map(([, name]) => name as string)
      .sort(),
  )
  const [, asked] = /^ExecStart=.* --config (\S+)$/m.exec(unit) ?? []
  expect(unit).toContain(`deploy/rescind.yaml ${asked}`)
})

it('the image asks the service how it is at the port that it listens on', async () => {
  const image = textOf('Dockerfile')
  const [, port] = /^ENV .*\bRESCIND_PORT=(\d+)/m.exec(image) ?? []
  expect(image).toContain(`EXPOSE ${port}`)
  const [, check = ''] = /^HEALTHCHECK .*CMD (\[.*\])$/m.exec(image) ?? []
  const [, ...args] = JSON.parse(check) as string[]
  const ask = (RESCIND_PORT: string) => promisify(execFile)(process.execPath, args, { env: { RESCIND_PORT } })
  let stopped: string
  {
    await using world = await startWorld()
    stopped = new URL(world.url).port
    await ask(stopped)
  }
  await expect(ask(stopped)).rejects.toMatchObject({ code: 1 })
})
