/** Namespaces are cut in silence, heal, and leave nothing behind. */
import { execFile, execFileSync } from 'node:child_process'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Agent } from './agent.js'
import type { EchoAddress, EchoAnswers } from './echo-agent.js'
import { isAlive } from './liveness.js'
import { canSplit, namedBy, NetNamespaces, skipUnlessAble } from './net-namespaces.js'
import { until } from './until.js'

const ECHO = new URL('./echo-agent.ts', import.meta.url)
/** Far above what an answer takes. */
const SILENCE_MS = 400
const able = await canSplit()

/** Namespaces with an echo in each, on the port of the same index. */
async function withEchoes(count: number) {
  const net = await NetNamespaces.start(count)
  onTestFinished(() => net.stop())
  const agents = await Promise.all(net.members.map((place) => Agent.start<EchoAnswers>(ECHO, { place })))
  onTestFinished(async () => void (await Promise.all(agents.map((agent) => agent.stop()))))
  const echoes = await Promise.all(
    agents.map(async (agent, n) => {
      const host = net.members[n]?.address as string
      return { host, port: await agent.call('listen', host) }
    }),
  )
  const reach = async (from: number, to: number, timeoutMs?: number) => {
    const echo = echoes[to] as EchoAddress
    return (agents[from] as Agent<EchoAnswers>).call('connect', { ...echo, timeoutMs })
  }
  /** What comes of what should be silence. */
  const miss = (from: number, to: number) => reach(from, to, SILENCE_MS)
  return { net, agents, echoes, reach, miss }
}

describe(namedBy('namespaces', able), () => {
  it('reach each other, and nobody outside reaches them', async (context) => {
    skipUnlessAble(context, able)
    const { agents, echoes, reach } = await withEchoes(2)
    expect(await reach(0, 1)).toBe('connected')
    expect(await reach(0, 0)).toBe('connected')
    await agents[1]?.stop()
    // There is a host that says no.
    expect(await reach(0, 1)).toBe('ECONNREFUSED')
    await using outside = await Agent.start<EchoAnswers>(ECHO)
    const answered = await outside.call('connect', { ...(echoes[0] as EchoAddress), timeoutMs: SILENCE_MS })
    expect(answered).not.toBe('connected')
  })

  it('are cut into groups in silence: nobody is refused, and open connections go on when it is healed', async (context) => {
    skipUnlessAble(context, able)
    const { net, agents, echoes, reach, miss } = await withEchoes(4)
    const [one, { port }] = [agents[0] as Agent<EchoAnswers>, echoes[2] as { port: number }]
    expect(await reach(0, 2)).toBe('connected')
    await net.cut([0, 1])
    await one.call('say', { port, text: 'across' })
    expect(await Promise.all([reach(0, 1), reach(1, 0), reach(2, 3)])).toEqual(Array(3).fill('connected'))
    // Several times: what is not known for good is found out by asking, and then "no route" is the answer.
    for (let round = 0; round < 10; round++)
      expect(await Promise.all([miss(1, 2), miss(3, 1)])).toEqual(['silence', 'silence'])
    expect(await one.call('heard', port)).toBe('')
    await net.cut([0], [1, 2])
    expect(await Promise.all([miss(0, 1), miss(0, 3), miss(3, 2)])).toEqual(Array(3).fill('silence'))
    expect(await reach(1, 2)).toBe('connected')
    await net.heal()
    await until(async () => (await one.call('heard', port)) === 'across', {
      what: 'TCP to send again what was lost',
      timeoutMs: 20_000,
    })
    expect(await reach(3, 0)).toBe('connected')
  })

  it('leave nothing behind, even when the process that made them is killed', async (context) => {
    skipUnlessAble(context, able)
    const links = () =>
      execFileSync('ip', ['-brief', 'link'])
        .toString()
        .replace(/@if\d+/g, '')
    const before = links()
    const href = (file: string) => JSON.stringify(new URL(file, import.meta.url).href)
    const script = `
      const { NetNamespaces } = await import(${href('./net-namespaces.ts')})
      const { Agent } = await import(${href('./agent.ts')})
      const net = await NetNamespaces.start(2)
      const agent = await Agent.start(new URL(${href('./echo-agent.ts')}), { place: net.members[1] })
      console.log(JSON.stringify([agent.pid, ...net.members.map(({ pid }) => pid)]))
      setInterval(() => {}, 1000)`
    const parent = execFile(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
    onTestFinished(() => void parent.kill('SIGKILL'))
    let said = ''
    parent.stdout?.on('data', (text) => (said += String(text)))
    await until(() => said.includes(']'), { what: 'the namespaces', timeoutMs: 20_000 })
    const pids = JSON.parse(said) as number[]
    expect([pids.length, pids.every(isAlive)]).toEqual([3, true])
    expect(links()).toBe(before)
    parent.kill('SIGKILL')
    await until(() => !pids.some(isAlive), { what: 'the processes to end' })
    expect(links()).toBe(before)
  })
})

it('says why it cannot be done, in words', async () => {
  vi.stubEnv('PATH', '/nonexistent')
  vi.resetModules()
  onTestFinished(() => {
    vi.unstubAllEnvs()
    vi.resetModules()
  })
  const elsewhere = await import('./net-namespaces.js')
  const reason = await elsewhere.canSplit()
  expect(reason).toMatch(/cannot be made here \(.*ENOENT/)
  expect(elsewhere.namedBy('a split', reason)).toContain('NOT RUN: network namespaces')
})
