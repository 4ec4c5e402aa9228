// Checks encrypted tokens the way a Node resource server does, one line in, one line out:
//
//   node decrypt.mjs JWKS-URL ISSUER AUDIENCE PRIVATE-JWK-FILE
//
// Each line of standard input is a token; each line of standard output is
// "ok SUBJECT" or "refused WHY".
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { compactDecrypt, createRemoteJWKSet, importJWK, jwtVerify } from 'jose'

const [url, issuer, audience, file] = process.argv.slice(2)
const keys = createRemoteJWKSet(new URL(url))
const jwk = JSON.parse(readFileSync(file, 'utf8'))
const alg = jwk.kty === 'RSA' ? 'RSA-OAEP-256' : 'ECDH-ES'
const key = await importJWK(jwk, alg)

async function check(token) {
  const { plaintext, protectedHeader } = await compactDecrypt(token, key, {
    keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: ['A256GCM'],
  })
  if (protectedHeader.cty !== 'JWT' || protectedHeader.zip) throw new Error('not a nested JWT')
  const { payload } = await jwtVerify(plaintext, keys, { algorithms: ['RS256'], typ: 'at+jwt', issuer, audience })
  if (payload.jti !== protectedHeader.jti) throw new Error('the header is that of another token')
  return payload.sub
}

for await (const token of createInterface({ input: process.stdin })) {
  try {
    console.log(`ok ${await check(token)}`)
  } catch (e) {
    console.log(`refused ${e.code ?? e.message}`)
  }
}
