/** A crew in a process of its own: does what the messages of `RemoteCrew` say, and ends with its parent. */
import { type Clients, Crew, type CrewPlan } from './crew.js'

interface Call {
  readonly id: number
  readonly method: 'plan' | keyof Clients
  readonly parameters: readonly unknown[]
}

let crew: Crew | undefined

process.on('message', (call: Call) => {
  obey(call).then(
    (result) => process.send?.({ id: call.id, result }),
    (error: unknown) => process.send?.({ id: call.id, error: String(error) }),
  )
})
// Without its parent it has no reason to live.
process.on('disconnect', () => process.exit())

async function obey({ method, parameters }: Call): Promise<unknown> {
  if (method === 'plan') {
    crew = new Crew(parameters[0] as CrewPlan)
    return undefined
  }
  return (crew?.[method] as (...all: readonly unknown[]) => Promise<unknown>).apply(crew, [...parameters])
}
