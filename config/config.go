package config

import "net/netip"

// Config is the effective configuration.
type Config struct {
	Issuer              URL    `key:"issuer" doc:"the URL that this server is known by, in every token; https, or http on a loopback address"`
	AllowInsecureIssuer bool   `key:"allow_insecure_issuer" default:"false" doc:"accept an http issuer that is not on a loopback address"`
	Listen              string `key:"listen" default:"127.0.0.1:8080" doc:"the address to listen on, host:port"`
	Database            Secret `key:"database" doc:"sqlite:PATH, postgres://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME"`
	MasterKeyFile       string `key:"master_key_file" doc:"the file with the key that signing keys are sealed under"`

	Log struct {
		Level  Level  `key:"level" default:"info" doc:"what is logged: debug, info, warn or error"`
		Format Format `key:"format" default:"json" doc:"how it is logged: json or text"`
	} `key:"log"`

	HTTP struct {
		ReadHeaderTimeout Duration  `key:"read_header_timeout" default:"5s" doc:"how long a request's header may take"`
		ReadTimeout       Duration  `key:"read_timeout" default:"10s" doc:"how long a request may take to arrive"`
		WriteTimeout      Duration  `key:"write_timeout" default:"15s" doc:"how long a request may take altogether"`
		IdleTimeout       Duration  `key:"idle_timeout" default:"2m" doc:"how long a connection is kept without a request"`
		RequestTimeout    Duration  `key:"request_timeout" default:"8s" doc:"how long answering may take, the database included; then it is a 503"`
		DrainDelay        Duration  `key:"drain_delay" default:"0s" doc:"for how long, when stopping, requests are still accepted while /health/ready says 503"`
		ShutdownTimeout   Duration  `key:"shutdown_timeout" default:"15s" doc:"how long requests under way are waited for when stopping"`
		MaxBody           Size      `key:"max_body" default:"64KiB" doc:"the largest request body"`
		MaxHeader         Size      `key:"max_header" default:"16KiB" doc:"the largest request header"`
		TrustedProxies    Prefixes  `key:"trusted_proxies" doc:"addresses or networks of proxies that are believed where a request comes from"`
		ForwardedHeader   Forwarded `key:"forwarded_header" default:"x-forwarded-for" doc:"the header in which they say it, and the only one that is read: x-forwarded-for or forwarded (RFC 7239)"`
		CORSOrigins       Origins   `key:"cors_origins" default:"*" doc:"web origins whose scripts may fetch keys and tokens; * is all"`
	} `key:"http"`

	Pool struct {
		MaxOpen     int      `key:"max_open" default:"16" doc:"how many database connections there may be; fewer than 3 count as 3"`
		MaxIdle     int      `key:"max_idle" default:"8" doc:"how many of them stay open unused"`
		MaxLifetime Duration `key:"max_lifetime" default:"30m" doc:"after how long a connection is replaced"`
	} `key:"pool"`

	Tokens struct {
		AccessTTL    Duration `key:"access_ttl" default:"15m" doc:"life of an access token, for APIs that set none; 1m to 24h"`
		RefreshTTL   Duration `key:"refresh_ttl" default:"7d" doc:"life of a refresh token, renewed by each refresh; 5m to 90d"`
		GrantTTL     Duration `key:"grant_ttl" default:"30d" doc:"when a sign-in ends for a client, however often it refreshes; up to 90d"`
		RefreshGrace Duration `key:"refresh_grace" default:"30s" doc:"for how long a refresh may be repeated with the same answer; 0 turns it off, up to 10m"`
		Skew         Duration `key:"skew" default:"30s" doc:"how far the clocks of servers and verifiers may be apart; up to 5m"`
	} `key:"tokens"`

	Keys struct {
		Bits          int      `key:"bits" default:"2048" doc:"size of new RSA keys: 2048, 3072 or 4096"`
		RotateEvery   Duration `key:"rotate_every" default:"30d" doc:"how long a key signs; a change holds for keys made from then on"`
		JWKSMaxAge    Duration `key:"jwks_max_age" default:"5m" doc:"for how long verifiers may keep the key set; 10s to 24h"`
		VerifierCache Duration `key:"verifier_cache" default:"10m" doc:"for how long common verifiers keep it whatever they are told"`
	} `key:"keys"`

	Claims Claims `key:"claims" doc:"scopes for claims about users that no other scope names: see below"`

	Clients struct {
		PKCE PKCE `key:"pkce" default:"nonce" doc:"what new clients with a secret must send at sign-in, unless client create --pkce says otherwise: required (PKCE), nonce (PKCE, or a nonce where an ID token is granted) or optional (neither)"`
	} `key:"clients"`

	Pages struct {
		Name       string `key:"name" doc:"whose pages people are shown, in every title: a company's name; the host of the issuer if empty"`
		LogoFile   string `key:"logo_file" doc:"a PNG or an SVG of 20 KiB at most that stands beside the name, in the place of the seal"`
		Accent     string `key:"accent" doc:"the colour, #rrggbb, of the button that a page is about; ink if empty. It has to be told from the page in both themes"`
		AccentDark string `key:"accent_dark" doc:"the same for the dark theme, where one colour cannot be seen in both"`
		HelpURL    Link   `key:"help_url" doc:"where the link for help leads: https://… or mailto:…"`
		TermsURL   Link   `key:"terms_url" doc:"where the link for the terms of use leads"`
		PrivacyURL Link   `key:"privacy_url" doc:"where the link for the privacy notice leads"`
	} `key:"pages"`

	Sessions struct {
		IdleTTL Duration `key:"idle_ttl" default:"12h" doc:"how long a browser stays signed in unseen"`
		TTL     Duration `key:"ttl" default:"7d" doc:"how long a browser stays signed in at most; up to 90d"`
	} `key:"sessions"`

	Passwords struct {
		AtOnce int `key:"at_once" default:"0" doc:"how many passwords are hashed at once, each on a CPU of its own; 0 is half of the CPUs, and at least one"`
	} `key:"passwords"`

	Changes struct {
		Staleness Duration `key:"staleness" default:"2s" doc:"how long a change may take to reach every server process; 100ms to 1m"`
		Retention Duration `key:"retention" default:"24h" doc:"for how long the log of changes is kept for processes that were away"`
	} `key:"changes"`

	Status struct {
		MaxAge   Duration `key:"max_age" default:"4s" doc:"for how long HTTP caches may keep a status list and, after that, verifiers; 1s to 1h"`
		ListSize int      `key:"list_size" default:"1048576" doc:"how many tokens and grants a new status list is for; 4096 to 16777216"`
	} `key:"status"`

	Audit struct {
		Retention Duration `key:"retention" default:"365d" doc:"for how long the audit log is kept; 0 is for ever, else 1d or more"`
	} `key:"audit"`

	Metrics struct {
		Listen string `key:"listen" doc:"the address, host:port, at which metrics are served at /metrics; none if empty"`
	} `key:"metrics"`

	Throttle struct {
		ClientFailures int      `key:"client_failures" default:"20" doc:"failed authentications of a client from one address within the window before they are answered with 429"`
		SignInFailures int      `key:"sign_in_failures" default:"10" doc:"failed sign-ins for one account from one address within sign_in_window before they are answered with 429; ten times as many from one address, or for one account from unknown browsers"`
		SignInWindow   Duration `key:"sign_in_window" default:"15m" doc:"the window in which failed sign-ins are counted"`
		Window         Duration `key:"window" default:"1m" doc:"the window in which failures are counted"`
	} `key:"throttle"`

	Purge struct {
		Interval Duration `key:"interval" default:"1m" doc:"how often what has expired is deleted"`
		Batch    int      `key:"batch" default:"500" doc:"how many rows are deleted at a time"`
	} `key:"purge"`

	sources map[string]source
	// secretFiles are the files that secrets in effect were read from, by key.
	secretFiles map[string]string
}

// Prefixes is a list of networks.
type Prefixes []netip.Prefix

// Origins is a list of web origins, or "*".
type Origins []string

// Forwarded names a header that proxies write: x-forwarded-for or forwarded.
type Forwarded string

// PKCE is a rule for clients: required, nonce or optional.
type PKCE string

// Format is a format of the log: json or text.
type Format string
