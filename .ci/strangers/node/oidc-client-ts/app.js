// oidc-client-ts is made for browsers. Here its client of the protocol runs in Node, with
// its own store in memory instead of the browser's.
import { createServer } from 'node:http'
import { InMemoryWebStorage, OidcClient, WebStorageStateStore } from 'oidc-client-ts'

const { ISSUER, CLIENT_ID, PORT } = process.env
const app = `http://localhost:${PORT}`

const client = new OidcClient({
  authority: ISSUER,
  client_id: CLIENT_ID,
  redirect_uri: `${app}/callback`,
  scope: 'openid profile email',
  stateStore: new WebStorageStateStore({ store: new InMemoryWebStorage() }),
})
createServer(async (req, res) => {
  try {
    if (req.url.startsWith('/callback')) {
      const signedIn = await client.processSigninResponse(app + req.url)
      res.end(JSON.stringify(signedIn.profile))
    } else {
      const request = await client.createSigninRequest({})
      res.writeHead(303, { location: request.url }).end()
    }
  } catch (err) {
    res.writeHead(500).end(String(err))
  }
}).listen(PORT, '127.0.0.1')
