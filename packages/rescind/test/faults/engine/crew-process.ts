/** A crew in a process of its own: does what `RemoteCrew` asks for. */
import { answer } from '../../support/agent.js'
import { Crew, type CrewPlan } from './crew.js'

let crew: Crew

const answers = {
  begin(plan: CrewPlan) {
    crew = new Crew(plan)
    return crew.begin()
  },
  run: () => crew.run(),
  pauseWrites: () => crew.pauseWrites(),
  resumeWrites: () => crew.resumeWrites(),
  counts: () => crew.counts(),
  away: () => crew.away(),
  touched: () => crew.touched(),
  survey: (subjects: readonly number[]) => crew.survey(subjects),
  rest: () => crew.rest(),
  roll: (subjects: readonly number[]) => crew.roll(subjects),
  history: () => crew.history(),
  close: () => crew.close(),
}

export type CrewAnswers = typeof answers
answer(answers)
