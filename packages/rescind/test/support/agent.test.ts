/** An agent answers from a process of its own, and does not outlive who asks. */
import { execFile } from 'node:child_process'
import { expect, it, onTestFinished } from 'vitest'
import { Agent } from './agent.js'
import type { EchoAnswers } from './echo-agent.js'
import { isAlive } from './liveness.js'
import { until } from './until.js'

const ECHO = new URL('./echo-agent.ts', import.meta.url)

async function start(args: readonly string[] = []): Promise<Agent<EchoAnswers>> {
  const agent = await Agent.start<EchoAnswers>(ECHO, { args })
  onTestFinished(() => agent.stop())
  return agent
}

it('answers with what the function there returned, whatever can be copied', async () => {
  const agent = await start(['one', 'two'])
  const value = { infinity: -Infinity, map: new Map([[1, Buffer.from('bytes')]]), nothing: undefined }
  const answered = (await agent.call('same', value)) as typeof value
  expect(answered.infinity).toBe(-Infinity)
  expect(Buffer.from(answered.map.get(1) as Uint8Array).toString()).toBe('bytes')
  expect(await agent.call('arguments')).toEqual(['one', 'two'])
  expect(agent.pid).not.toBe(process.pid)
})

it('answers calls as they are done, each its own', async () => {
  const agent = await start()
  const hanging = expect(agent.call('hang')).rejects.toThrow('ended with SIGKILL')
  const answers = await Promise.all([1, 2, 3].map((n) => agent.call('same', n)))
  expect(answers).toEqual([1, 2, 3])
  await agent.stop()
  await hanging
})

it('rejects as the function there did, and when the process has ended', async () => {
  const agent = await start()
  const failing = agent.call('fail', { message: 'went wrong', code: 'ERR_WRONG' })
  await expect(failing).rejects.toMatchObject({ message: 'went wrong', code: 'ERR_WRONG' })
  await agent.stop()
  expect(isAlive(agent.pid)).toBe(false)
  await expect(agent.call('same', 1)).rejects.toThrow()
})

it('rejects with why a module does not start', async () => {
  const starting = Agent.start(new URL('./no-such-agent.ts', import.meta.url))
  await expect(starting).rejects.toThrow(/ended with 1\n[^]*ERR_MODULE_NOT_FOUND/)
})

it('ends with the process that started it, even when that is killed', async () => {
  const script = `
    const { Agent } = await import(${JSON.stringify(new URL('./agent.ts', import.meta.url).href)})
    const agent = await Agent.start(new URL(${JSON.stringify(ECHO.href)}))
    console.log(agent.pid)
    setInterval(() => {}, 1000)`
  const parent = execFile(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
  onTestFinished(() => void parent.kill('SIGKILL'))
  let said = ''
  parent.stdout?.on('data', (text) => (said += String(text)))
  const pid = Number(await until(() => /\d+/.exec(said)?.[0], { what: 'the agent', timeoutMs: 20_000 }))
  expect(isAlive(pid)).toBe(true)
  parent.kill('SIGKILL')
  await until(() => !isAlive(pid), { what: 'the agent to end' })
})
