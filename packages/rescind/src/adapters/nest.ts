/**
 * The adapter of NestJS, 11 and 12, on Express and on Fastify. `RescindModule.forRoot({ gate })` in the root
 * module guards every route; `@Public()` opens one, `@RequireToken({ scope: 'reports' })` asks for more, and
 * the parameter `@Auth() auth: Auth` has the claims.
 */
import * as nest from '@nestjs/common'
import { APP_FILTER, APP_GUARD, Reflector } from '@nestjs/core'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Denial } from '../denial.js'
import { RescindError } from '../errors.js'
import { type Auth as GateAuth, Gate, type Policy } from '../gate.js'
import { TokenManager } from '../token-manager.js'
import { requestHead } from './node.js'
import { authOf, isPrivate, remember } from './request.js'

export { authOf }

/** What `RescindModule.forRoot` takes. */
export interface RescindModuleOptions {
  readonly gate: Gate
  /** Guards every route that is not `@Public()`. Default true; false: only routes with `@RequireToken()`. */
  readonly global?: boolean | undefined
}

/** `useFactory` returns `{ gate }`, and is called with what `inject` names. */
export type RescindModuleAsyncOptions = Omit<RescindModuleOptions, 'gate'> &
  Pick<nest.FactoryProvider<{ gate: Gate }>, 'useFactory' | 'inject'> &
  Pick<nest.ModuleMetadata, 'imports'>

/** Imported once, by the root module; then `Gate` and `TokenManager` can be injected everywhere. */
export class RescindModule {
  /** With a gate that is there already, and that outlives the application: its manager is yours to close. */
  static forRoot(options: RescindModuleOptions): nest.DynamicModule {
    return moduleOf({ provide: Gate, useValue: options.gate }, options.global)
  }

  /**
   * With a gate that a factory makes, which may have providers injected. It ends with the application: `app.close()`
   * closes its manager, after the last request.
   */
  static forRootAsync(options: RescindModuleAsyncOptions): nest.DynamicModule {
    const { inject = [], imports = [], global } = options
    const useFactory = async (...args: unknown[]) => (await options.useFactory(...args)).gate
    const { providers = [], ...module } = moduleOf({ provide: Gate, useFactory, inject }, global)
    return { ...module, imports, providers: [...providers, CLOSER] }
  }
}

const POLICY = 'rescind:policy'
const NO_POLICY: Policy = {}
/** A guard may stand globally and at the route: one check is enough for both. */
const passed = new WeakMap<object, { gate: Gate; policy: Policy }>()

/** The policy of a handler, or of all handlers of a class; the handler's own replaces that of its class. */
export const RequireToken = (policy: Policy = {}): ClassDecorator & MethodDecorator =>
  nest.applyDecorators(nest.SetMetadata(POLICY, policy), nest.UseGuards(RescindGuard))

/** Lets everybody in: a handler, or all handlers of a class that do not say `@RequireToken()` themselves. */
export const Public = (): ClassDecorator & MethodDecorator => nest.SetMetadata(POLICY, false)

/** The parameter that gets the auth of the request. On a public route it throws. */
export const Auth = nest.createParamDecorator((_: unknown, context) => authOf(exchangeOf(context).req))
export type Auth = GateAuth

/** What the guard throws: an `HttpException` with the problem body. */
export class DenialException extends nest.HttpException {
  constructor(readonly denial: Denial) {
    super(denial.body, denial.status)
  }
}

/** Lets a request pass, or sets the headers of the denial and throws `DenialException`. */
export class RescindGuard implements nest.CanActivate {
  constructor(private readonly gate: Gate) {}

  async canActivate(context: nest.ExecutionContext): Promise<boolean> {
    const places = [context.getHandler(), context.getClass()]
    const policy = new Reflector().getAllAndOverride<Policy | false | undefined>(POLICY, places) ?? NO_POLICY
    if (policy === false) return true
    const { req, res, body } = exchangeOf(context)
    const before = passed.get(req)
    if (before?.gate === this.gate && before.policy === policy) return true
    const verdict = await this.gate.check(requestHead(req, body), policy)
    const { headers } = verdict.allowed ? verdict : verdict.denial
    for (const [name, value] of Object.entries(headers))
      // A stricter one of the application stays, but for a denial.
      if (!verdict.allowed || !isPrivate(res.getHeader(name)))
        (res.setHeader ?? res.header).call(res, name, value)
    if (!verdict.allowed) throw new DenialException(verdict.denial)
    remember(req, verdict.auth)
    passed.set(req, { gate: this.gate, policy })
    return true
  }
}

/** Called when no request is answered any more. */
const CLOSER: nest.Provider = {
  provide: Symbol('rescind:closer'),
  useFactory: ({ manager }: Gate): nest.OnApplicationShutdown => ({
    onApplicationShutdown: () => manager.close(),
  }),
  inject: [Gate],
}

/** Sends a denial as it is: the platforms would change its content type. */
class DenialFilter implements nest.ExceptionFilter<DenialException> {
  catch({ denial }: DenialException, host: nest.ArgumentsHost): void {
    const res = host.switchToHttp().getResponse<PlatformResponse>()
    res.status(denial.status).send(Buffer.from(JSON.stringify(denial.body)))
  }
}

// As functions, so that no compiler option for decorators is needed.
nest.Module({})(RescindModule)
nest.Injectable()(RescindGuard)
nest.Inject(Gate)(RescindGuard, undefined, 0)
nest.Catch(DenialException)(DenialFilter)

function moduleOf(gate: nest.Provider, guardsAll = true): nest.DynamicModule {
  const manager = { provide: TokenManager, useFactory: ({ manager }: Gate) => manager, inject: [Gate] }
  const providers = [gate, manager, RescindGuard, { provide: APP_FILTER, useClass: DenialFilter }]
  if (guardsAll) providers.push({ provide: APP_GUARD, useExisting: RescindGuard })
  return { module: RescindModule, global: true, providers, exports: [Gate, TokenManager, RescindGuard] }
}

type PlatformRequest = IncomingMessage & { raw?: IncomingMessage; body?: unknown }
interface PlatformResponse extends Partial<Pick<ServerResponse, 'setHeader'>> {
  header(name: string, value: string): unknown
  getHeader(name: string): unknown
  status(code: number): { send(body: Buffer): unknown }
}

function exchangeOf(context: nest.ExecutionContext) {
  const isHttp = context.getType() === 'http'
  if (!isHttp) throw new RescindError('ERR_OPTION_INVALID', 'RescindGuard guards HTTP routes only')
  const [request, res] = context.getArgs<[PlatformRequest, PlatformResponse]>()
  return { req: request.raw ?? request, res, body: request.body }
}
