// Checks tokens the way a Node resource server does, one line in, one line out:
//
//   node verify.mjs JWKS-URL ISSUER AUDIENCE ALG
//
// Each line of standard input is a token; each line of standard output is
// "ok SUBJECT" or "refused CODE". One process lives through rotations, as a
// resource server does.
import { createInterface } from 'node:readline'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const [url, issuer, audience, algorithm] = process.argv.slice(2)
const keys = createRemoteJWKSet(new URL(url), { cooldownDuration: 0, cacheMaxAge: 1000 })

for await (const token of createInterface({ input: process.stdin })) {
  try {
    const { payload } = await jwtVerify(token, keys, { algorithms: [algorithm], typ: 'at+jwt', issuer, audience })
    console.log(`ok ${payload.sub}`)
  } catch (e) {
    console.log(`refused ${e.code}`)
  }
}
