/** Log in and log out. */
import { Controller, Header, HttpCode, Inject, Param, Post } from '@nestjs/common'
import { TokenManager } from 'rescind'
import { Auth, Public } from 'rescind/nest'
import { Issuer } from './issuer.js'

@Controller()
export class AuthController {
  constructor(
    @Inject(Issuer) private readonly issuer: Issuer,
    @Inject(TokenManager) private readonly manager: TokenManager,
  ) {}

  /** An example: a real API asks for a password here. */
  @Public()
  @Post('login/:application/:user')
  @Header('cache-control', 'no-store')
  logIn(@Param('application') application: string, @Param('user') user: string): Promise<string> {
    return this.issuer.issue(user, application)
  }

  @Post('logout')
  @HttpCode(204)
  async logOut(@Auth() auth: Auth): Promise<void> {
    await this.manager.revokeToken(auth, { reason: 'log-out' })
  }
}
