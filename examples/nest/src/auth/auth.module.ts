import { Module } from '@nestjs/common'
import { AuthController } from './auth.controller.js'
import { Issuer } from './issuer.js'

@Module({
  controllers: [AuthController],
  providers: [{ provide: Issuer, useFactory: () => Issuer.create() }],
  exports: [Issuer],
})
export class AuthModule {}
