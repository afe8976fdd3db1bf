/** An agent that echoes on TCP, asks other echoes, and fails when it is told to: for the tests of agents and nets. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { answer } from './agent.js'

export interface EchoAddress {
  readonly host: string
  readonly port: number
  readonly timeoutMs?: number | undefined
}

const asked = new Map<number, { socket: Socket; text: string }>()

const answers = {
  /** Resolves with the port. */
  async listen(host: string): Promise<number> {
    const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket))
    await new Promise<void>((resolve) => server.listen(0, host, resolve))
    return (server.address() as AddressInfo).port
  },

  /** `connected`, or the code of the failure, or after `timeoutMs` `silence`. */
  async connect({ host, port, timeoutMs = 10_000 }: EchoAddress): Promise<string> {
    const socket = connect(port, host)
    const said = { socket, text: '' }
    socket.on('data', (text) => (said.text += text.toString()))
    asked.set(port, said)
    const outcome = await new Promise<string>((resolve) => {
      socket.on('connect', () => resolve('connected'))
      socket.on('error', (failure: NodeJS.ErrnoException) => resolve(failure.code ?? ''))
      setTimeout(() => resolve('silence'), timeoutMs)
    })
    if (outcome === 'silence') socket.destroy()
    return outcome
  },

  /** On the connection that was made last to this port. */
  say({ port, text }: { port: number; text: string }): void {
    asked.get(port)?.socket.write(text)
  },

  /** All that came back on it. */
  heard(port: number): string {
    return asked.get(port)?.text ?? ''
  },

  same(value: unknown): unknown {
    return value
  },

  arguments(): string[] {
    return process.argv.slice(2)
  },

  fail({ message, code }: { message: string; code: string }): never {
    throw Object.assign(new Error(message), { code })
  },

  async hang(): Promise<void> {
    await new Promise(() => undefined)
  },
}

export type EchoAnswers = typeof answers
answer(answers)
