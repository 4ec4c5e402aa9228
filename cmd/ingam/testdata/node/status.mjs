// Reads the status of tokens the way a Node resource server does, one line in, one
// line out:
//
//   node status.mjs BASE ISSUER
//
// Each line of standard input is a token; each line of standard output is
// "status N", or "fault" and why. BASE is where the issuer is reached. The token,
// the list and its bits are read by @sd-jwt/jwt-status-list, the list's signature
// is checked by jose, and nothing is kept from one line to the next.
import { createInterface } from 'node:readline'
import { getListFromStatusListJWT, getStatusListFromJWT } from '@sd-jwt/jwt-status-list'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const [base, issuer] = process.argv.slice(2)
const keys = createRemoteJWKSet(new URL(base + '/.well-known/jwks.json'))

async function statusOf(token) {
  const { uri, idx } = getStatusListFromJWT(token)
  const answer = await fetch(new URL(new URL(uri).pathname, base), { headers: { Accept: 'application/statuslist+jwt' } })
  if (!answer.ok) throw new Error(`${uri}: ${answer.status}`)
  const list = await answer.text()
  await jwtVerify(list, keys, {
    algorithms: ['RS256'], typ: 'statuslist+jwt', issuer, subject: uri, requiredClaims: ['iat', 'exp', 'ttl'],
  })
  return getListFromStatusListJWT(list).getStatus(idx)
}

for await (const token of createInterface({ input: process.stdin })) {
  try {
    console.log(`status ${await statusOf(token)}`)
  } catch (e) {
    console.log(`fault ${e.code ?? ''} ${e.message}`.replaceAll('\n', ' '))
  }
}
