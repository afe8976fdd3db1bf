/** The Nest tests, run with Nest 12 and with Nest 11: which of the two is the business of the test runner. */
import { createRequire } from 'node:module'
import type { IncomingMessage } from 'node:http'
import {
  type ArgumentsHost,
  Body,
  type CanActivate,
  Catch,
  Controller,
  type DynamicModule,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  HttpCode,
  type INestApplication,
  Inject,
  Module,
  Post,
  Req,
  UseFilters,
  UseGuards,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  Auth,
  authOf,
  DenialException,
  Public,
  RequireToken,
  RescindGuard,
  RescindModule,
} from '../../../src/adapters/nest.js'
import { Gate } from '../../../src/gate.js'
import { TokenManager } from '../../../src/token-manager.js'
import { type Issuer, makeIssuer } from '../../support/issuer.js'
import { adapterContract, expectDenial, makeGate } from '../contract.js'
import { type Answer, ask } from '../http.js'

type Platform = 'Express' | 'Fastify'
type Type = new (...args: never[]) => object

@Controller()
class Api {
  constructor(
    @Inject(TokenManager) private readonly manager: TokenManager,
    @Inject('ran') private readonly ran: () => void,
  ) {}

  @Public()
  @Get('open')
  open() {
    return { open: true }
  }

  @Get('protected')
  protected(@Auth() auth: Auth) {
    this.ran()
    return { sub: auth.claims.sub }
  }

  @RequireToken({ scope: 'admin' })
  @Get('admin')
  admin(@Auth() auth: Auth) {
    this.ran()
    return { sub: auth.claims.sub }
  }

  @RequireToken({ tokenFrom: ['header', 'query'] })
  @Get('query')
  query(@Auth() auth: Auth) {
    this.ran()
    return { sub: auth.claims.sub }
  }

  @RequireToken({ tokenFrom: ['header', 'form'] })
  @HttpCode(200)
  @Post('form')
  form(@Auth() auth: Auth, @Body() body?: { note?: string }) {
    this.ran()
    return { sub: auth.claims.sub, note: body?.note }
  }

  @HttpCode(204)
  @Post('logout')
  async logout(@Auth() auth: Auth) {
    this.ran()
    await this.manager.revokeToken(auth)
  }
}

async function start(
  platform: Platform,
  controllers: Type[],
  imports: DynamicModule[],
  ran = () => {},
): Promise<INestApplication> {
  @Module({ imports, controllers, providers: [{ provide: 'ran', useValue: ran }] })
  class App {}
  const adapter = platform === 'Express' ? new ExpressAdapter() : new FastifyAdapter()
  const app = await NestFactory.create(App, adapter, { logger: false, abortOnError: false })
  await app.listen(0, '127.0.0.1')
  return app
}

/** `from`: the package.json whose dependency Nest is. */
export function nestSuite(version: number, from: URL): void {
  it(`runs on Nest ${version}, and so does the adapter`, () => {
    const require = createRequire(from)
    const manifest = require('@nestjs/common/package.json') as { version: string }
    expect(Number.parseInt(manifest.version)).toBe(version)
    const { HttpException } = require('@nestjs/common') as { HttpException: unknown }
    expect(Object.getPrototypeOf(DenialException)).toBe(HttpException)
  })

  for (const platform of ['Express', 'Fastify'] as const) {
    adapterContract(
      `rescind/nest on Nest ${version} with ${platform}`,
      async (gate, ran) => {
        const app = await start(platform, [Api], [RescindModule.forRoot({ gate })], ran)
        return { url: await app.getUrl(), close: () => app.close() }
      },
      { options: 404, answersFailures: true },
    )
    describe(`rescind/nest on Nest ${version} with ${platform}`, () => behaviour(platform))
  }
}

function behaviour(platform: Platform): void {
  let issuer: Issuer
  let gate: Gate
  let app: INestApplication | undefined
  beforeAll(async () => {
    issuer = await makeIssuer()
    gate = makeGate(issuer)
  })
  afterEach(async () => {
    await app?.close()
    app = undefined
  })
  const serve = async (controllers: Type[], imports: DynamicModule[]) => {
    app = await start(platform, controllers, imports)
    const url = await app.getUrl()
    return async (path: string, claims?: object): Promise<Answer> => {
      return ask(url + path, {
        authorization: claims === undefined ? [] : [`Bearer ${await issuer.sign({ ...claims })}`],
      })
    }
  }
  const statuses = async (
    get: (path: string, claims?: object) => Promise<Answer>,
    paths: string[],
    claims?: object,
  ) => Promise.all(paths.map(async (path) => (await get(path, claims)).status))

  it('guards only what says so where it is not global', async () => {
    @Controller()
    class Mixed {
      @Get('free')
      free() {
        return 'x'
      }
      @RequireToken()
      @Get('marked')
      marked() {
        return 'x'
      }
      @UseGuards(RescindGuard)
      @Get('guarded')
      guarded() {
        return 'x'
      }
    }
    const get = await serve([Mixed], [RescindModule.forRoot({ gate, global: false })])
    const paths = ['/free', '/marked', '/guarded']
    expect(await statuses(get, paths)).toEqual([200, 401, 401])
    expect(await statuses(get, paths, {})).toEqual([200, 200, 200])
    expectDenial(await get('/marked'), 'token_missing')
  })

  it('takes the policy of the handler in place of that of its class', async () => {
    @RequireToken({ scope: 'class' })
    @Controller('guarded')
    class Guarded {
      @Get('usual')
      usual() {
        return 'x'
      }
      @RequireToken({ scope: 'handler' })
      @Get('own')
      own() {
        return 'x'
      }
      @Public()
      @Get('open')
      open() {
        return 'x'
      }
    }
    @Public()
    @Controller('public')
    class Open {
      @Get('usual')
      usual() {
        return 'x'
      }
      @RequireToken({ scope: 'handler' })
      @Get('own')
      own() {
        return 'x'
      }
    }
    const paths = ['/guarded/usual', '/guarded/own', '/guarded/open', '/public/usual', '/public/own']
    for (const global of [true, false]) {
      const get = await serve([Guarded, Open], [RescindModule.forRoot({ gate, global })])
      expect(await statuses(get, paths)).toEqual([401, 401, 200, 200, 401])
      expect(await statuses(get, paths, { scope: 'class' })).toEqual([200, 403, 200, 200, 403])
      expect(await statuses(get, paths, { scope: 'handler' })).toEqual([403, 200, 200, 200, 200])
      await app?.close()
    }
  })

  it('is made by a factory, with what it asks for', async () => {
    @Module({ providers: [{ provide: 'SETTINGS', useValue: { gate: 'made' } }], exports: ['SETTINGS'] })
    class Settings {}
    const made = makeGate(issuer)
    const useFactory = vi.fn(async (_settings: { gate: string }) => ({ gate: made }))
    const get = await serve(
      [Api],
      [RescindModule.forRootAsync({ imports: [Settings], inject: ['SETTINGS'], useFactory })],
    )
    expect(useFactory.mock.calls).toEqual([[{ gate: 'made' }]])
    expect(await statuses(get, ['/open', '/protected'])).toEqual([200, 401])
    expect(await statuses(get, ['/open', '/protected'], {})).toEqual([200, 200])
  })

  it('ends with the application where a factory made it, and outlives it where it was given', async () => {
    const made = makeGate(issuer)
    const useFactory = async () => ({ gate: made })
    await (await start(platform, [Api], [RescindModule.forRootAsync({ useFactory })])).close()
    expect(await made.manager.checkStore({ sub: 'alice' })).toMatchObject({
      status: 'unknown',
      cause: { code: 'ERR_CLOSED' },
    })
    await (await start(platform, [Api], [RescindModule.forRoot({ gate })])).close()
    expect(await gate.manager.checkStore({ sub: 'alice' })).toEqual({ status: 'clear' })
  })

  it('does not start where a route is marked and the module is missing', async () => {
    @Controller()
    class Forgotten {
      @RequireToken()
      @Get()
      get() {
        return 'x'
      }
    }
    await expect(start(platform, [Forgotten], [])).rejects.toThrow(/RescindGuard/)
  })

  it('has no auth for a public route', async () => {
    @Public()
    @Controller()
    class Open {
      @Get()
      get(@Auth() auth: Auth) {
        return { sub: auth.claims.sub }
      }
    }
    const get = await serve([Open], [RescindModule.forRoot({ gate })])
    expect((await get('/', {})).status).toBe(500)
  })

  it('lets a filter of the application answer, and keeps the challenge', async () => {
    @Catch(DenialException)
    class Own implements ExceptionFilter<DenialException> {
      catch(exception: DenialException, host: ArgumentsHost) {
        const response = host
          .switchToHttp()
          .getResponse<{ status(code: number): { send(body: object): void } }>()
        response.status(exception.getStatus()).send({ own: exception.denial.code })
      }
    }
    @Controller()
    class Filtered {
      @UseFilters(Own)
      @Get()
      get() {
        return 'x'
      }
    }
    const get = await serve([Filtered], [RescindModule.forRoot({ gate })])
    const answer = await get('/')
    expect(answer).toMatchObject({ status: 401, body: '{"own":"token_missing"}' })
    expect(answer.headers['www-authenticate']).toEqual(['Bearer realm="contract"'])
  })

  it('leaves a stricter cache-control to an answer, and none to a denial', async () => {
    const SAID: Readonly<Record<string, string>> = {
      strict: 'no-store',
      shared: 'public, max-age=60',
      own: 'private, max-age=60',
    }
    class Says implements CanActivate {
      canActivate(context: ExecutionContext) {
        const response = context.switchToHttp().getResponse<{ header(name: string, value: string): void }>()
        response.header('cache-control', SAID[context.getHandler().name] ?? '')
        return true
      }
    }
    @UseGuards(Says, RescindGuard)
    @Controller()
    class Cached {
      @RequireToken({ tokenFrom: ['query'] })
      @Get('strict')
      strict() {
        return 'x'
      }
      @RequireToken({ tokenFrom: ['query'] })
      @Get('shared')
      shared() {
        return 'x'
      }
      @RequireToken({ tokenFrom: ['query'] })
      @Get('own')
      own() {
        return 'x'
      }
    }
    const get = await serve([Cached], [RescindModule.forRoot({ gate, global: false })])
    const cacheControl = async (path: string) => (await get(path)).headers['cache-control']
    const query = `?access_token=${await issuer.sign()}`
    expect(await cacheControl(`/strict${query}`)).toEqual(['no-store'])
    expect(await cacheControl(`/shared${query}`)).toEqual(['private'])
    expect(await cacheControl(`/own${query}`)).toEqual(['private, max-age=60'])
    expectDenial(await get('/own'), 'token_missing')
  })

  it('can inject the gate, and finds the auth by the request of Node', async () => {
    @Controller()
    class Injected {
      constructor(@Inject(Gate) private readonly injected: Gate) {}
      @Get()
      get(@Req() request: IncomingMessage & { raw?: IncomingMessage }) {
        return { isSame: this.injected === gate, sub: authOf(request.raw ?? request).claims.sub }
      }
    }
    const get = await serve([Injected], [RescindModule.forRoot({ gate })])
    expect(JSON.parse((await get('/', {})).body)).toEqual({ isSame: true, sub: 'alice' })
  })

  it('guards HTTP only, and lets nothing else through', async () => {
    const guard = new RescindGuard(gate)
    const context = { getType: () => 'ws', getHandler: () => guard.canActivate, getClass: () => RescindGuard }
    await expect(guard.canActivate(context as never)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
  })
}
