// Better Auth with its plugin for generic OAuth, which finds the rest by discovery.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { betterAuth } from 'better-auth'
import { toNodeHandler } from 'better-auth/node'
import { genericOAuth } from 'better-auth/plugins'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT } = process.env

const auth = betterAuth({
  baseURL: `http://localhost:${PORT}`,
  secret: randomBytes(32).toString('hex'),
  plugins: [
    genericOAuth({
      config: [
        {
          providerId: 'ingam',
          clientId: CLIENT_ID,
          clientSecret: CLIENT_SECRET,
          discoveryUrl: `${ISSUER}/.well-known/openid-configuration`,
          scopes: ['openid', 'email', 'profile'],
        },
      ],
    }),
  ],
})

const handler = toNodeHandler(auth)
createServer(async (req, res) => {
  if (req.url !== '/login') return handler(req, res)
  // What its client does from a script: a post, and off to where the answer says.
  const start = await auth.api.signInSocial({
    body: { provider: 'ingam', callbackURL: '/api/auth/get-session' },
    asResponse: true,
  })
  const { url } = await start.json()
  res.writeHead(303, { location: url, 'set-cookie': start.headers.getSetCookie() }).end()
}).listen(PORT, '127.0.0.1')
