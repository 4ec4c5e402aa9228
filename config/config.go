package config

// Config is the effective configuration.
type Config struct {
	Issuer              URL    `key:"issuer" doc:"the URL of this server, which is in every token; https, or http on a loopback address"`
	AllowInsecureIssuer bool   `key:"allow_insecure_issuer" default:"false" doc:"accept an http issuer that is not on a loopback address"`
	Listen              string `key:"listen" default:"127.0.0.1:8080" doc:"the address to listen on, host:port"`
	Database            Secret `key:"database" doc:"sqlite:PATH, postgres://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME"`
	MasterKeyFile       string `key:"master_key_file" doc:"the file with the master key, which encrypts the signing keys"`

	Log struct {
		Level  level  `key:"level" default:"info" doc:"the lowest level that is logged: debug, info, warn or error"`
		Format format `key:"format" default:"json" doc:"the format of the log: json or text"`
	} `key:"log"`

	HTTP struct {
		ReadHeaderTimeout Duration  `key:"read_header_timeout" default:"5s" doc:"how long a request's header may take to arrive"`
		ReadTimeout       Duration  `key:"read_timeout" default:"10s" doc:"how long a request may take to arrive"`
		WriteTimeout      Duration  `key:"write_timeout" default:"15s" doc:"how long a request may take altogether"`
		IdleTimeout       Duration  `key:"idle_timeout" default:"2m" doc:"how long an idle connection is kept open"`
		RequestTimeout    Duration  `key:"request_timeout" default:"8s" doc:"how long the server may work on an answer, with the database, before it answers 503"`
		DrainDelay        Duration  `key:"drain_delay" default:"0s" doc:"how long a stopping server still accepts requests while /health/ready answers 503"`
		ShutdownTimeout   Duration  `key:"shutdown_timeout" default:"15s" doc:"how long a stopping server waits for requests under way"`
		MaxBody           size      `key:"max_body" default:"64KiB" doc:"the largest request body, but for the admin API, which takes 1 MiB"`
		MaxHeader         size      `key:"max_header" default:"16KiB" doc:"the largest request header"`
		TrustedProxies    prefixes  `key:"trusted_proxies" doc:"addresses or networks of the proxies that may say from which address a request comes"`
		ForwardedHeader   forwarded `key:"forwarded_header" default:"x-forwarded-for" doc:"the only header in which these proxies are believed: x-forwarded-for or forwarded (RFC 7239)"`
		CORSOrigins       origins   `key:"cors_origins" default:"*" doc:"web origins whose scripts may fetch keys and tokens; * allows all"`
	} `key:"http"`

	Pool struct {
		MaxOpen     int      `key:"max_open" default:"16" doc:"the largest number of database connections; fewer than 3 count as 3"`
		MaxIdle     int      `key:"max_idle" default:"8" doc:"how many unused database connections stay open"`
		MaxLifetime Duration `key:"max_lifetime" default:"30m" doc:"the age at which a database connection is replaced"`
	} `key:"pool"`

	Tokens struct {
		AccessTTL    Duration `key:"access_ttl" default:"15m" doc:"life of an access token, unless the API sets its own; 1m to 24h"`
		RefreshTTL   Duration `key:"refresh_ttl" default:"7d" doc:"life of a refresh token, renewed by each refresh; 5m to 90d"`
		GrantTTL     Duration `key:"grant_ttl" default:"30d" doc:"how long a client can refresh after a sign-in, at most; up to 90d"`
		RefreshGrace Duration `key:"refresh_grace" default:"30s" doc:"for how long a repeated refresh gets the same answer; 0 turns it off, up to 10m"`
		Skew         Duration `key:"skew" default:"30s" doc:"how far the clocks of servers and verifiers may be apart; up to 5m"`
	} `key:"tokens"`

	Keys struct {
		Bits          int      `key:"bits" default:"2048" doc:"size of new RSA keys: 2048, 3072 or 4096"`
		Engine        engine   `key:"engine" default:"auto" doc:"what makes RSA signatures: openssl (the system's OpenSSL 3), go (crypto/rsa) or auto, which is openssl where it can be used"`
		RotateEvery   Duration `key:"rotate_every" default:"30d" doc:"how long a key signs; a new value applies to keys made from then on"`
		JWKSMaxAge    Duration `key:"jwks_max_age" default:"5m" doc:"how long verifiers may keep the key set; 10s to 24h"`
		VerifierCache Duration `key:"verifier_cache" default:"10m" doc:"how long common libraries keep the key set, whatever its max-age says"`
	} `key:"keys"`

	Claims claimScopes `key:"claims" doc:"your own scopes, for claims about users that no other scope has: see below"`

	Clients struct {
		PKCE pkce `key:"pkce" default:"nonce" doc:"what new clients with a secret must send at sign-in, unless client create --pkce says otherwise: required (PKCE), nonce (PKCE, or a nonce where an ID token is granted) or optional (neither)"`
	} `key:"clients"`

	Pages struct {
		Name       string `key:"name" doc:"the name on every page and in its title, such as your company's; the host of the issuer if empty"`
		LogoFile   string `key:"logo_file" doc:"a PNG or SVG file of at most 20 KiB, shown beside the name instead of the seal"`
		Accent     string `key:"accent" doc:"the colour, #rrggbb, of each page's main button; that of the text if empty. It must be visible in the light and the dark theme"`
		AccentDark string `key:"accent_dark" doc:"the main button's colour in the dark theme, if one colour is not visible in both"`
		HelpURL    link   `key:"help_url" doc:"the target of the help link: https://… or mailto:…"`
		TermsURL   link   `key:"terms_url" doc:"the target of the link to the terms of use"`
		PrivacyURL link   `key:"privacy_url" doc:"the target of the link to the privacy notice"`
	} `key:"pages"`

	Sessions struct {
		IdleTTL Duration `key:"idle_ttl" default:"12h" doc:"how long a browser stays signed in without being used"`
		TTL     Duration `key:"ttl" default:"7d" doc:"how long a browser stays signed in at most; up to 90d"`
	} `key:"sessions"`

	Passwords struct {
		AtOnce int `key:"at_once" default:"0" doc:"how many passwords are hashed at the same time, each on its own CPU; 0 means half of the CPUs, at least one"`
	} `key:"passwords"`

	Changes struct {
		Staleness Duration `key:"staleness" default:"2s" doc:"how long a change may take to reach every instance; 100ms to 1m"`
		Retention Duration `key:"retention" default:"24h" doc:"how long the log of changes is kept, for instances that were away"`
	} `key:"changes"`

	Status struct {
		MaxAge   Duration `key:"max_age" default:"4s" doc:"how long HTTP caches may keep a status list, and then verifiers once more; 1s to 1h"`
		ListSize int      `key:"list_size" default:"1048576" doc:"how many tokens and grants a new status list has room for; 4096 to 16777216"`
	} `key:"status"`

	Audit struct {
		Retention Duration `key:"retention" default:"365d" doc:"how long the audit log is kept: for ever with 0, otherwise 1d or more"`
	} `key:"audit"`

	Metrics struct {
		Listen string `key:"listen" doc:"the address, host:port, that serves /metrics; off if empty"`
	} `key:"metrics"`

	Throttle struct {
		ClientFailures int      `key:"client_failures" default:"20" doc:"how often a client may fail to authenticate from one address within throttle.window before it is answered with 429"`
		SignInFailures int      `key:"sign_in_failures" default:"10" doc:"how often a sign-in to one account from one address may fail within throttle.sign_in_window before it is answered with 429; ten times as often from one address to all accounts, or to one account from all unknown browsers"`
		SignInWindow   Duration `key:"sign_in_window" default:"15m" doc:"the window in which failed sign-ins are counted"`
		Window         Duration `key:"window" default:"1m" doc:"the window in which failed authentications of clients are counted"`
	} `key:"throttle"`

	Purge struct {
		Interval Duration `key:"interval" default:"1m" doc:"how often expired rows are deleted"`
		Batch    int      `key:"batch" default:"500" doc:"how many expired rows are deleted in one statement"`
	} `key:"purge"`

	sources map[string]source
	// secretFiles are the files from which the effective secrets were read, by key.
	secretFiles map[string]string
}
