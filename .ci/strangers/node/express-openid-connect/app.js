// express-openid-connect as its examples set it up for the code flow. (Its default,
// response_type=id_token, is the implicit flow, which OAuth 2.1 has no longer.)
const express = require('express')
const { auth } = require('express-openid-connect')

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT } = process.env

const app = express()
app.use(
  auth({
    issuerBaseURL: ISSUER,
    baseURL: `http://localhost:${PORT}`,
    clientID: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    secret: require('crypto').randomBytes(32).toString('hex'),
    authorizationParams: { response_type: 'code' },
    idpLogout: true,
  }),
)
app.get('/', (req, res) => res.json(req.oidc.user))
app.listen(PORT, '127.0.0.1')
