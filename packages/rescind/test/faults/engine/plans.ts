/** The nodes that most scenarios have: two with memories, both writing, and one without, which only asks. */
import type { NaivePlan, RescindPlan } from './node.js'

type Common = Omit<RescindPlan, 'kind' | 'name' | 'isWriter'>

export function twoAndBare(plan: Common): readonly RescindPlan[] {
  return [
    { ...plan, kind: 'rescind', name: 'a' },
    { ...plan, kind: 'rescind', name: 'b' },
    { ...plan, kind: 'rescind', name: 'bare', isWriter: false, manager: { ...plan.manager, replica: false } },
  ]
}

export function oneNaive(plan: Omit<NaivePlan, 'kind' | 'name'>): readonly NaivePlan[] {
  return [{ ...plan, kind: 'naive', name: 'naive' }]
}
