// @fastify/oauth2 with discovery.
const fastify = require('fastify')()

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT } = process.env

fastify.register(require('@fastify/oauth2'), {
  name: 'ingam',
  scope: ['openid', 'profile', 'email'],
  credentials: { client: { id: CLIENT_ID, secret: CLIENT_SECRET } },
  startRedirectPath: '/login',
  callbackUri: `http://localhost:${PORT}/callback`,
  discovery: { issuer: ISSUER },
})
fastify.get('/callback', async (request) => {
  const { token } = await fastify.ingam.getAccessTokenFromAuthorizationCodeFlow(request)
  return fastify.ingam.userinfo(token)
})
fastify.listen({ host: '127.0.0.1', port: PORT })
