# GitLab's strategy for OpenID Connect, with the settings that GitLab's documentation gives
# for any provider.
require 'sinatra/base'
require 'omniauth'
require 'omniauth_openid_connect'

# Each of these libraries keeps a list of authorities of its own.
[OpenIDConnect, SWD].each do |library|
  library.http_config { |http| http.ssl_config.add_trust_ca(ENV.fetch('CA')) }
end

class App < Sinatra::Base
  set :bind, '127.0.0.1'
  set :port, ENV.fetch('PORT')
  set :server, 'webrick'
  set :show_exceptions, false
  enable :sessions

  use OmniAuth::Builder do
    provider :openid_connect,
             name: 'openid_connect',
             scope: %w[openid profile email],
             response_type: 'code',
             issuer: ENV.fetch('ISSUER'),
             discovery: true,
             client_auth_method: 'query',
             send_scope_to_token_endpoint: 'false',
             client_options: {
               identifier: ENV.fetch('CLIENT_ID'),
               secret: ENV.fetch('CLIENT_SECRET'),
               redirect_uri: "http://localhost:#{ENV.fetch('PORT')}/users/auth/openid_connect/callback"
             }
  end
  OmniAuth.config.path_prefix = '/users/auth'

  get '/' do
    token = Rack::Protection::AuthenticityToken.token(session)
    <<~PAGE
      <form method="post" action="/users/auth/openid_connect">
      <input type="hidden" name="authenticity_token" value="#{token}">
      <button>Sign in</button>
      </form>
    PAGE
  end

  get '/users/auth/openid_connect/callback' do
    env['omniauth.auth'].info.to_h.to_s
  end

  get '/users/auth/failure' do
    "#{params['message']}: #{env['omniauth.error']}"
  end

  run!
end
