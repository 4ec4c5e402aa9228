package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// asset is a file that pages need, whose name holds the hash of what is in it: a
// browser asks for each once.
type asset struct {
	// Path is where it is, below that of the issuer.
	Path        string
	contentType string
	body        []byte
	// zipped is the body in gzip; nil where that saves nothing. There is no secret in
	// it that its length could tell, as that of a page could.
	zipped []byte
	// policy is the Content-Security-Policy of whoever opens it by itself: a drawing
	// may hold a script, which as a picture on a page does not run.
	policy string
}

// AssetPath is where assets are, below the path of the issuer.
const AssetPath = "/assets/"

func newAsset(name string, body []byte, contentType string) asset {
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	return asset{
		Path: AssetPath + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext, contentType: contentType, body: body, zipped: zip(body),
		policy: "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
	}
}

func zip(body []byte) []byte {
	var b bytes.Buffer
	w := must(gzip.NewWriterLevel(&b, gzip.BestCompression))
	w.Write(body)
	w.Close()
	if b.Len() >= len(body) {
		return nil
	}
	return b.Bytes()
}

// unzips reports whether a browser takes gzip (RFC 9110 section 12.5.3); one that
// says so in an unusual way gets the body as it is.
func unzips(r *http.Request) bool {
	for accepted := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if strings.TrimSpace(accepted) == "gzip" {
			return true
		}
	}
	return false
}

// plain is the name of an asset without the hash.
func plain(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, AssetPath), ".")
	return parts[0] + "." + parts[len(parts)-1]
}

// Asset answers a request for an asset at a path below that of the issuer, and
// reports whether there is such a one.
func (p *Pages) Asset(w http.ResponseWriter, r *http.Request, path string) bool {
	for _, a := range p.all {
		if plain(a.Path) != plain(path) {
			continue
		}
		h, body := w.Header(), a.body
		h.Set("Content-Type", a.contentType)
		if a.zipped != nil {
			h.Add("Vary", "Accept-Encoding")
			if unzips(r) {
				body = a.zipped
				h.Set("Content-Encoding", "gzip")
			}
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		h.Set("Content-Security-Policy", a.policy)
		if h.Set("Cache-Control", "public, max-age=31536000, immutable"); a.Path != path {
			// While servers are replaced one by one, a page of one asks another for
			// what it has not got, or not any more: better the other's than none.
			h.Set("Cache-Control", "public, max-age=60")
		}
		w.Write(body)
		return true
	}
	return false
}

// WriteIcon answers a request for the icon by a name that is the same for all.
func (p *Pages) WriteIcon(w http.ResponseWriter, r *http.Request) {
	p.Asset(w, r, AssetPath+plain(p.Icon))
}
