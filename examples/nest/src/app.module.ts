/** The application: every route asks for a token that is not revoked, unless it says that it is public. */
import { Module } from '@nestjs/common'
import { APP_FILTER } from '@nestjs/core'
import { Gate, openStore, TokenManager } from 'rescind'
import { RescindModule } from 'rescind/nest'
import { AccountsModule } from './accounts/accounts.module.js'
import { AuthModule } from './auth/auth.module.js'
import { Issuer } from './auth/issuer.js'
import { NotRevokedFilter } from './not-revoked.filter.js'

@Module({
  imports: [
    AuthModule,
    AccountsModule,
    RescindModule.forRootAsync({
      imports: [AuthModule],
      inject: [Issuer],
      useFactory: async ({ verifier }: Issuer) => {
        const manager = TokenManager.fromEnv(process.env, { store: openStore(process.env), verifier })
        await manager.ready() // from the first request on, checks are made in memory
        return { gate: new Gate({ manager }) }
      },
    }),
  ],
  providers: [{ provide: APP_FILTER, useClass: NotRevokedFilter }],
})
export class AppModule {}
