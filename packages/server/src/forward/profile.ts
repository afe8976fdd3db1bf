/** What a profile of the configuration asks of a request: for each path, the policy of the first route that matches. */
import type { Policy } from 'rescind'
import type { ProfileConfig } from '../config/schema.js'
import { comparablePath, withoutSlash } from '../config/route-path.js'

/** Asks nothing: everybody passes, without a token. */
export const PUBLIC = Symbol('public')

/** What is asked: the same object for every request, so that the gate checks it once. */
export type Demand = Policy | typeof PUBLIC

export type DemandResult =
  | { readonly demand: Demand; readonly problem?: undefined }
  /** Why it cannot be told what is asked: a sentence for whoever configures the gateway. */
  | { readonly problem: string; readonly demand?: undefined }

interface Route {
  readonly path: string
  /** `/admin/*`: itself and everything below. */
  readonly isTree: boolean
  readonly methods: readonly string[] | undefined
  readonly result: DemandResult
}

/** Upper case alone: an application may take `get` for GET, or not. */
const METHOD = /^[A-Z][A-Z-]{0,31}$/

export class Profile {
  readonly #whole: DemandResult
  readonly #routes: readonly Route[]
  readonly #needsMethod: boolean

  constructor({ routes, ...policy }: ProfileConfig) {
    this.#whole = { demand: policyOf(policy) }
    this.#routes = routes.map(({ path, methods, public: isPublic, ...own }) => {
      const isTree = path.endsWith('/*')
      return {
        path: withoutSlash(isTree ? path.slice(0, -1) : path),
        isTree,
        methods,
        result: { demand: isPublic ? PUBLIC : policyOf({ ...policy, ...own }) },
      }
    })
    this.#needsMethod = routes.some(({ methods }) => methods !== undefined)
  }

  /** The path and the method of the original request, as the gateway has told them. */
  demandFor(toldPath: string | undefined, method: string | undefined): DemandResult {
    if (this.#routes.length === 0) return this.#whole
    if (toldPath === undefined || toldPath === '') return NO_PATH
    const path = comparablePath(toldPath)
    if (path === undefined) return UNCLEAR_PATH
    if (this.#needsMethod && (method === undefined || !METHOD.test(method))) return NO_METHOD
    for (const route of this.#routes) {
      if (matchesPath(route, path) && matchesMethod(route, method)) return route.result
    }
    return this.#whole
  }
}

const NO_PATH: DemandResult = {
  problem: 'The profile has routes, and the gateway does not tell the path of the request',
}
const NO_METHOD: DemandResult = {
  problem: 'The profile has routes for methods, and the gateway does not tell the method of the request',
}
const UNCLEAR_PATH: DemandResult = {
  problem: 'The path of the request can be read in more than one way',
}

function matchesPath({ path, isTree }: Route, asked: string): boolean {
  if (asked === path) return true
  return isTree && (path === '/' || (asked.startsWith(path) && asked[path.length] === '/'))
}

/** A HEAD is a GET whose answer has no content (RFC 9110 §9.3.2). */
function matchesMethod({ methods }: Route, method: string | undefined): boolean {
  if (methods === undefined) return true
  return methods.some((name) => name === method || (name === 'GET' && method === 'HEAD'))
}

/** Only what is said: the gate refuses options that it does not know. */
function policyOf(said: Omit<ProfileConfig, 'routes'>): Policy {
  return Object.freeze(Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)))
}
