// Auth.js in Express, with a provider of type "oidc", as its documentation says for
// one that it has no module for.
import { randomBytes } from 'node:crypto'
import { ExpressAuth } from '@auth/express'
import express from 'express'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT } = process.env

const app = express()
app.set('trust proxy', true)
app.use(
  '/auth/*',
  ExpressAuth({
    secret: randomBytes(32).toString('hex'),
    providers: [
      {
        id: 'ingam',
        name: 'Ingam',
        type: 'oidc',
        issuer: ISSUER,
        clientId: CLIENT_ID,
        clientSecret: CLIENT_SECRET,
      },
    ],
  }),
)
app.listen(PORT, '127.0.0.1')
