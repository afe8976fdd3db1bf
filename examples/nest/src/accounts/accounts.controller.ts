/** The account of a person: who they are, and which applications act for them. */
import { Controller, Delete, Get, HttpCode, Inject, Param, UseGuards } from '@nestjs/common'
import { TokenManager } from 'rescind'
import { Auth, RequireToken } from 'rescind/nest'
import { ISSUER } from '../auth/issuer.js'
import { OwnAccountGuard } from './own-account.guard.js'

@Controller('accounts/:user')
@UseGuards(OwnAccountGuard)
export class AccountsController {
  constructor(@Inject(TokenManager) private readonly manager: TokenManager) {}

  @Get()
  show(@Auth() auth: Auth): object {
    const { sub, client_id } = auth.claims
    return { user: sub, application: client_id }
  }

  @Delete('applications/:application')
  @RequireToken({ scope: 'access' })
  @HttpCode(204)
  async removeApplication(
    @Param('user') user: string,
    @Param('application') application: string,
  ): Promise<void> {
    await this.manager.revoke(
      { iss: ISSUER, sub: user, client_id: application },
      { reason: 'access removed', actor: user },
    )
  }
}
