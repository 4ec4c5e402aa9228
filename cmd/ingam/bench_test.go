package main

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// These benchmarks measure the server as it is run: a release build, in a
// process of its own, with its default settings, logging each request to a
// file. What a request costs is the CPU time of that process, of all its
// threads and in the kernel too, divided by the time of one RSA-2048
// signature, so that figures of different machines compare. See
// docs/performance.md.

// connections is how many requests are under way at once.
const connections = 8

// BenchmarkSignature is the unit that the others are measured in.
func BenchmarkSignature(b *testing.B) {
	sign := signature(b)
	for b.Loop() {
		sign()
	}
}

func BenchmarkToken(b *testing.B) {
	d := newReleaseDeployment(b, "")
	s := d.startRelease()
	secret := d.client("app")
	ask := postRequest(s, "/oauth2/token", "app", secret, url.Values{"grant_type": {"client_credentials"}})
	b.Run("Basic", func(b *testing.B) { load(b, s, ask, "200 OK") })
}

// BenchmarkIntrospection asks about a token that stands, as the API that the
// token is meant for.
func BenchmarkIntrospection(b *testing.B) {
	for _, e := range storagetest.Engines() {
		// Skipped by name where the engine is not there.
		var database string
		if !b.Run(e.Name+"/database", func(b *testing.B) { e.NewURL(b) }) {
			continue
		}
		_ = database
	}
}

func BenchmarkJWKS(b *testing.B) {
	d := newReleaseDeployment(b, "")
	s := d.startRelease()
	etag := s.get("/.well-known/jwks.json").header.Get("ETag")
	get := "GET /.well-known/jwks.json HTTP/1.1\r\nHost: " + s.host() + "\r\n"
	b.Run("200", func(b *testing.B) { load(b, s, get+"\r\n", "200 OK") })
	b.Run("304", func(b *testing.B) { load(b, s, get+"If-None-Match: "+etag+"\r\n\r\n", "304 Not Modified") })
}
