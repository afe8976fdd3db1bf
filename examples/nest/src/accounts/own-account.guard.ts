/** Lets a person into their own account only. It runs after the guard of Rescind, which is a global one. */
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common'
import type { Request } from 'express'
import { authOf } from 'rescind/nest'

@Injectable()
export class OwnAccountGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Request>()
    return authOf(request).claims.sub === request.params.user
  }
}
