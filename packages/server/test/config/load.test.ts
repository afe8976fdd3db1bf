import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RescindError } from 'rescind'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rescind-config-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function write(text: string): string {
  const path = join(folder, 'rescind.yaml')
  writeFileSync(path, text)
  return path
}

function problemsOf(text: string, env = {}): readonly string[] {
  try {
    loadConfig(env, { path: write(text) })
  } catch (error) {
    if (error instanceof RescindError && error.code === 'ERR_CONFIG_INVALID') return error.problems
    throw error
  }
  return []
}

describe('a configuration', () => {
  it('may be empty: it is safe by itself', () => {
    const { config } = loadConfig({}, { path: write('') })
    expect(config.listen).toEqual({ host: '127.0.0.1', port: 8484, trustedHops: 0 })
    expect(config.clients).toEqual([])
  })

  it('is looked for in the working folder, and needed nowhere', () => {
    rmSync(write(''))
    expect(loadConfig({}, { folder }).path).toBeUndefined()
    write('listen: { port: 1234 }')
    expect(loadConfig({}, { folder })).toMatchObject({ config: { listen: { port: 1234 } } })
  })

  it('yields to the environment', () => {
    const path = write('listen: { port: 1234, host: 0.0.0.0 }')
    const { config } = loadConfig({ RESCIND_PORT: '99', RESCIND_LOG_LEVEL: 'warn' }, { path })
    expect(config).toMatchObject({ listen: { port: 99, host: '0.0.0.0' }, log: { level: 'warn' } })
  })

  it('takes each variable as the path of a file too, but not both', () => {
    const path = write('')
    const [secret, empty] = [join(folder, 'folder-name'), join(folder, 'empty')]
    writeFileSync(secret, '/srv/rescind\n')
    writeFileSync(empty, '\n')
    expect(loadConfig({ RESCIND_DATA_DIR_FILE: secret }, { path }).config.dataDir).toBe('/srv/rescind')
    expect(problemsOf('', { RESCIND_DATA_DIR_FILE: secret, RESCIND_DATA_DIR: 'x' })).toEqual([
      'RESCIND_DATA_DIR and RESCIND_DATA_DIR_FILE are both set: keep one',
    ])
    expect(problemsOf('', { RESCIND_PORT_FILE: empty })).toEqual(['RESCIND_PORT_FILE names an empty file'])
  })

  it('takes no address for a port, which Kubernetes gives beside a Service named rescind', () => {
    const { config } = loadConfig({ RESCIND_PORT: 'tcp://10.0.0.1:8484' }, { path: write('') })
    expect(config.listen.port).toBe(8484)
  })

  it('means paths from where it is, and those of the environment from the working folder', () => {
    const path = write('dataDir: data\nsigning: { keyFile: key.pem }')
    expect(loadConfig({}, { path, folder: '/elsewhere' }).config).toMatchObject({
      dataDir: join(folder, 'data'),
      signing: { keyFile: join(folder, 'key.pem') },
    })
    const { config } = loadConfig({ RESCIND_DATA_DIR: 'data' }, { path, folder: '/elsewhere' })
    expect(config.dataDir).toBe('/elsewhere/data')
  })

  it('names everything that is wrong at once, and no value', () => {
    const problems = problemsOf(
      `
listen: { port: hunter2 }
hunter3: 1
issuers:
  - { issuer: https://a.example, audience: api, algorithms: [none], jwksUrl: https://a.example/keys }
  - { issuer: https://b.example, algorithms: [RS256] }
clients:
  - { id: "with space", roles: [root] }
`,
    )
    const text = problems.join('\n')
    expect(text).toMatch(/listen\.port: .*\(RESCIND_PORT\)/)
    expect(text).toContain('issuers[0].algorithms[0]')
    expect(text).toContain('issuers[1].audience')
    expect(text).toContain('clients[0].id')
    expect(text).toContain('clients[0].roles[0]')
    expect(text).toContain('"hunter3" is not a setting')
    expect(text).not.toContain('hunter2')
  })

  it('may not contradict itself', () => {
    const issuer =
      '{ issuer: https://a.example, audience: api, algorithms: [RS256], jwksUrl: https://a.example/keys }'
    expect(problemsOf(`issuers: [${issuer}, ${issuer}]`).join()).toContain(
      'the same issuer stands there twice',
    )
    expect(problemsOf('issuers: [{ issuer: a, audience: null, algorithms: [RS256] }]').join()).toContain(
      'exactly one of',
    )
    expect(problemsOf('clients: [{ id: a, roles: [read] }]').join()).toContain('neither keys nor a key set')
    const client = '{ id: a, roles: [introspect], jwksUrl: https://a.example/keys }'
    expect(problemsOf(`clients: [${client}]`).join()).toContain('clients[0].audiences')
  })

  it('that is not YAML is refused by line, without quoting it', () => {
    const [problem = ''] = problemsOf('a: 1\nsecret: "hunter2\n')
    expect(problem).toMatch(/line \d+/)
    expect(problem).not.toContain('hunter2')
    expect(problemsOf('- a')).toEqual(['the configuration must be a mapping of settings'])
  })

  it('that is missing is an error where it was asked for', () => {
    expect(() => loadConfig({ RESCIND_CONFIG: 'missing.yaml' }, { folder })).toThrow('cannot be read')
  })
})
