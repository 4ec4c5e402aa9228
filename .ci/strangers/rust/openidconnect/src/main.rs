//! Signs a person in as the crate's documentation does: discovery, the authorization code
//! flow with PKCE and a nonce, the ID token's claims, and userinfo.

use std::collections::HashMap;
use std::env;
use std::error::Error;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    reqwest, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, RedirectUrl, Scope, TokenResponse,
};
use tiny_http::{Header, Response, Server};
use url::Url;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let address = env::var("ADDRESS")?;
    let app = env::var("APP")?;
    let http = reqwest::blocking::ClientBuilder::new()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let metadata = CoreProviderMetadata::discover(&IssuerUrl::new(env::var("ISSUER")?)?, &http)?;
    let client = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new(env::var("CLIENT_ID")?),
        Some(ClientSecret::new(env::var("CLIENT_SECRET")?)),
    )
    .set_redirect_uri(RedirectUrl::new(format!("{app}/callback"))?);

    let server = Server::http(address)?;
    let mut pending = HashMap::new();
    for request in server.incoming_requests() {
        let at = Url::parse(&app)?.join(request.url())?;
        if at.path() == "/login" {
            let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
            let (to, state, nonce) = client
                .authorize_url(
                    CoreAuthenticationFlow::AuthorizationCode,
                    CsrfToken::new_random,
                    Nonce::new_random,
                )
                .add_scope(Scope::new("profile".into()))
                .add_scope(Scope::new("email".into()))
                .set_pkce_challenge(challenge)
                .url();
            pending.insert(state.into_secret(), (nonce, verifier));
            let location = Header::from_bytes("Location", to.as_str()).expect("an ASCII address");
            request.respond(Response::empty(303).with_header(location))?;
            continue;
        }
        let query: HashMap<String, String> = at.query_pairs().into_owned().collect();
        let begun = query.get("state").and_then(|state| pending.remove(state));
        let (Some((nonce, verifier)), Some(code)) = (begun, query.get("code")) else {
            request.respond(Response::from_string(format!("not begun: {query:?}")))?;
            continue;
        };
        let session = || -> Result<String, Box<dyn Error + Send + Sync>> {
            let tokens = client
                .exchange_code(AuthorizationCode::new(code.clone()))?
                .set_pkce_verifier(verifier)
                .request(&http)?;
            let id_token = tokens.id_token().ok_or("no ID token")?;
            let claims = id_token.claims(&client.id_token_verifier(), &nonce)?;
            let info: CoreUserInfoClaims = client
                .user_info(tokens.access_token().clone(), Some(claims.subject().clone()))?
                .request(&http)?;
            let name = info.name().and_then(|n| n.get(None)).ok_or("no name")?;
            let email = info.email().ok_or("no e-mail")?;
            Ok(format!("{} {}", name.as_str(), email.as_str()))
        };
        let said = session().unwrap_or_else(|err| format!("refused: {err:?}"));
        request.respond(Response::from_string(said))?;
    }
    Ok(())
}
