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

// asset is a file that pages need. Its name contains the hash of its content, so that a
// browser requests each version only once.
type asset struct {
	// Path is its path, below that of the issuer.
	Path        string
	contentType string
	body        []byte
	// zipped is the body in gzip; nil if that saves nothing. Compression is safe here,
	// because an asset contains no secret. In a page, an attacker could find one out
	// from the compressed length (BREACH).
	zipped []byte
	// policy is the Content-Security-Policy of the asset when it is opened by itself.
	// An SVG may contain scripts; a browser does not run them when a page shows it as
	// an image.
	policy string
}

// AssetPath is the path of all assets, below that of the issuer.
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

// unzips reports whether a browser accepts gzip (RFC 9110 section 12.5.3). If it says so in
// an unusual way, it gets the body uncompressed.
func unzips(r *http.Request) bool {
	for accepted := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if strings.TrimSpace(accepted) == "gzip" {
			return true
		}
	}
	return false
}

// plain returns the name of an asset without the hash.
func plain(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, AssetPath), ".")
	return parts[0] + "." + parts[len(parts)-1]
}

// Asset answers a request for an asset at a path below that of the issuer. It reports
// whether there is such an asset.
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
			// During an upgrade, a page of one version may request the assets
			// of its version from a server of another version. Those of the
			// other version are better than none.
			h.Set("Cache-Control", "public, max-age=60")
		}
		w.Write(body)
		return true
	}
	return false
}

// WriteIcon answers a request for the icon at an address without a hash, which is the same
// for all versions.
func (p *Pages) WriteIcon(w http.ResponseWriter, r *http.Request) {
	p.Asset(w, r, AssetPath+plain(p.Icon))
}
