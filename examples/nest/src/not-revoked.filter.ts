/** What could not be stored is 503: nobody must believe that it is revoked. */
import { type ArgumentsHost, Catch, type ExceptionFilter, Inject } from '@nestjs/common'
import type { Response } from 'express'
import { Gate, RescindError } from 'rescind'
import { sendDenial } from 'rescind/node'

@Catch(RescindError)
export class NotRevokedFilter implements ExceptionFilter<RescindError> {
  constructor(@Inject(Gate) private readonly gate: Gate) {}

  catch(error: RescindError, host: ArgumentsHost): void {
    console.error(`${error.code}: ${error.message}`)
    const denial = this.gate.denial('check_unavailable', 'Nothing was changed; try again')
    sendDenial(host.switchToHttp().getResponse<Response>(), denial)
  }
}
