// Checks tokens the way a Node resource server does, one line in, one line out:
//
//   node verify.mjs KEYS ISSUER AUDIENCE ALG
//
// KEYS is the key set's URL, or for HS256 the secret, in base64url.
// Each line of standard input is a token; each line of standard output is
// "ok SUBJECT" or "refused CODE". One process lives through rotations, as a
// resource server does.
import { createInterface } from 'node:readline'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const [from, issuer, audience, algorithm] = process.argv.slice(2)
const keys = algorithm === 'HS256' ? Buffer.from(from, 'base64url')
  : createRemoteJWKSet(new URL(from), { cooldownDuration: 0, cacheMaxAge: 1000 })

for await (const token of createInterface({ input: process.stdin })) {
  try {
    const { payload } = await jwtVerify(token, keys, { algorithms: [algorithm], typ: 'at+jwt', issuer, audience })
    console.log(`ok ${payload.sub}`)
  } catch (e) {
    console.log(`refused ${e.code}`)
  }
}
