import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { ISSUER } from '../../../rescind/test/support/issuer.js'
import { loadConfig } from '../../src/config/load.js'
import { makeLog } from '../../src/log.js'
import { Service } from '../../src/service.js'
import { run, runJson } from './support/command.js'

const CANARY = 'hunter2-hunter2-hunter2'

interface Wrong {
  readonly config?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string>>
  /** A piece of each problem that is told. */
  readonly told: readonly string[]
}

/** One thing is wrong with each, and it is found before anything is asked for over a network. */
const WRONG: Readonly<Record<string, Wrong>> = {
  'the key of an issuer': {
    config: {
      issuers: [{ issuer: ISSUER, audience: 'a', algorithms: ['ES256'], publicKeyFile: 'no-such-file' }],
    },
    told: ['issuers[0].publicKeyFile'],
  },
  'the key set of a client': {
    config: { clients: [{ id: 'ci', roles: ['read'], jwksFile: 'no-such-file' }] },
    told: ['clients[0].jwksFile'],
  },
  'the signing key': { config: { signing: { keyFile: 'no-such-file' } }, told: ['signing.keyFile'] },
  'the kind of the signing key': {
    config: { signing: { keyFile: 'ed25519.pem', algorithm: 'ES256' } },
    told: ['of another kind than ES256'],
  },
  'the files of TLS': {
    config: { listen: { tls: { certFile: 'no-cert', keyFile: 'no-key' } } },
    told: ['listen.tls.certFile', 'listen.tls.keyFile'],
  },
  'the pair of TLS': {
    config: { listen: { tls: { certFile: 'ed25519.pem', keyFile: 'ed25519.pem' } } },
    told: ['listen.tls: the certificate and the key'],
  },
  'where Redis is': { env: { REDIS_HOST: 'localhost', REDIS_PORT: CANARY }, told: ['REDIS_PORT'] },
  'how Redis is used': {
    env: { REDIS_HOST: 'localhost', RESCIND_PARTITIONS: '3' },
    told: ['RESCIND_PARTITIONS'],
  },
  'a setting of the library': { env: { RESCIND_TTL: CANARY }, told: ['RESCIND_TTL'] },
  'the kind of store': { env: { RESCIND_STORE: CANARY }, told: ['RESCIND_STORE'] },
  'the store of another service': {
    env: { RESCIND_URL: 'http://127.0.0.1:1', RESCIND_KEY: CANARY },
    told: ['store of another service'],
  },
  'the key of the admin': { env: { RESCIND_ADMIN_KEY: CANARY }, told: ['RESCIND_ADMIN_KEY'] },
}

describe('rescind config check', () => {
  let folder: string
  let file: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rescind-config-'))
    file = join(folder, 'rescind.yaml')
    const { privateKey } = generateKeyPairSync('ed25519')
    writeFileSync(join(folder, 'ed25519.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('says what is there, where it is in order, and writes nothing', async () => {
    writeFileSync(file, 'listen: { port: 8484 }\n')
    const before = readdirSync(folder)
    for (const env of [
      {},
      { REDIS_HOST: 'localhost' },
      { RESCIND_STORE: 'lmdb' },
      { RESCIND_STORE: 'memory' },
    ])
      expect(await runJson(['config', 'check', '-c', file], { env })).toEqual({
        path: file,
        issuers: 0,
        clients: 0,
        profiles: 0,
      })
    expect(readdirSync(folder)).toEqual(before)
  })

  it.each(Object.entries(WRONG))(
    'refuses what the service would: %s',
    async (_, { config = {}, env = {}, told }) => {
      writeFileSync(file, stringify(config))
      const { code, err } = await run(['config', 'check', '-c', file, '--json'], { env })
      expect(code).toBe(2)
      expect(err).not.toContain(CANARY)
      const { problems } = (JSON.parse(err) as { error: { problems: string[] } }).error
      for (const piece of told) expect(problems.join('\n')).toContain(piece)
      const started = Service.start({
        config: loadConfig(env, { path: file }).config,
        env,
        log: makeLog('silent'),
      })
      // It stops at the first.
      const failure = (await started.then(
        (service) => service.stop(),
        (error: unknown) => error,
      )) as { code: string; problems: string[] } | undefined
      expect(failure?.code).toBe('ERR_CONFIG_INVALID')
      for (const problem of failure?.problems ?? []) expect(problems).toContain(problem)
    },
  )

  it('names everything at once, and no value', async () => {
    const wrong = [
      'the key of an issuer',
      'the key set of a client',
      'the signing key',
      'the files of TLS',
      'where Redis is',
      'a setting of the library',
      'the key of the admin',
    ].map((name) => WRONG[name] as Wrong)
    writeFileSync(file, stringify(Object.assign({}, ...wrong.map(({ config }) => config))))
    const env = Object.assign({ RESCIND_CONFIG: file }, ...wrong.map((each) => each.env)) as object
    const { code, err } = await run(['config', 'check'], { env: { ...env } })
    expect(code).toBe(2)
    for (const piece of wrong.flatMap(({ told }) => told)) expect(err).toContain(piece)
    expect(err).not.toContain(CANARY)
  })

  it('names everything that is no setting', async () => {
    writeFileSync(file, `listen: { port: ${CANARY} }\nnothing: 1\n`)
    const wrong = await run(['config', 'check'], { env: { RESCIND_CONFIG: file } })
    expect(wrong.code).toBe(2)
    expect(wrong.err).toContain('listen.port')
    expect(wrong.err).toContain('"nothing" is not a setting')
    expect(wrong.err).not.toContain(CANARY)
    const json = await run(['config', 'check', '--json'], { env: { RESCIND_CONFIG: file } })
    expect((JSON.parse(json.err) as { error: { problems: string[] } }).error.problems).toHaveLength(2)
  })
})
