/** Nest: a person takes the access from one application, and goes on in the others. */
import 'reflect-metadata'
import { NestFactory } from '@nestjs/core'
import { AppModule } from './app.module.js'

const { PORT = '3000' } = process.env

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] })
app.enableShutdownHooks(['SIGINT', 'SIGTERM'], { useProcessExit: true })
await app.listen(Number(PORT), '127.0.0.1')
const url = await app.getUrl()
console.log(`Nest listens on ${url}. Take the access from the mobile application, and keep that of the web:

  WEB=$(curl -s -X POST ${url}/login/web/alice)
  MOBILE=$(curl -s -X POST ${url}/login/mobile/alice)
  curl -i ${url}/accounts/alice -H "authorization: Bearer $MOBILE"
  curl -i ${url}/accounts/bob -H "authorization: Bearer $MOBILE"
  curl -i -X DELETE ${url}/accounts/alice/applications/mobile -H "authorization: Bearer $MOBILE"
  curl -i -X DELETE ${url}/accounts/alice/applications/mobile -H "authorization: Bearer $WEB"
  curl -i ${url}/accounts/alice -H "authorization: Bearer $MOBILE"
  curl -i ${url}/accounts/alice -H "authorization: Bearer $WEB"
  curl -i -X POST ${url}/logout -H "authorization: Bearer $WEB"
  curl -i ${url}/accounts/alice -H "authorization: Bearer $WEB"
`)
