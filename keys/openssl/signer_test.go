//go:build linux && cgo && !static

package openssl

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ingam/ingam/keys/openssl/openssltest"
)

// system returns the system's library.
func system(t testing.TB) *Library {
	t.Helper()
	l, err := Open(slog.New(slog.DiscardHandler))
	if err != nil && strings.HasPrefix(err.Error(), "open the library") {
		t.Skip("OpenSSL 3 is not installed: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// faulty returns the path of a library with a fault (see package openssltest).
func faulty(t *testing.T, definitions ...string) string {
	t.Helper()
	return filepath.Join(openssltest.Folder(t, definitions...), name)
}

func given(t testing.TB, l *Library, key *rsa.PrivateKey) *signer {
	t.Helper()
	s, err := l.accept(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func key(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSignaturesAreThoseOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	l := system(t)
	keys := []*rsa.PrivateKey{key(t, 2048), key(t, 3072), key(t, 4096)}
	for i := range 1000 {
		k := keys[0]
		if i%50 == 49 {
			k = keys[1+i/50%2]
		}
		s := given(t, l, k)
		message := make([]byte, mathrand.N(2000))
		rand.Read(message)
		digest := sha256.Sum256(message)
		expected, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.native(pkcs1, digest[:]); err != nil || !bytes.Equal(got, expected) {
			t.Fatalf("message %d, %d bits: %v", i, k.Size()*8, err)
		}
		got, err := s.native(pss, digest[:])
		if err == nil {
			err = rsa.VerifyPSS(&k.PublicKey, crypto.SHA256, digest[:], got, &rsa.PSSOptions{SaltLength: 32})
		}
		if err != nil {
			t.Fatalf("message %d with PSS: %v", i, err)
		}
		s.Close()
	}
}

func TestWhatTheLibraryIsNotAskedForIsSignedToo(t *testing.T) {
	t.Parallel()
	k := key(t, 2048)
	s := given(t, system(t), k)
	defer s.Close()
	long := sha512.Sum512([]byte("text"))
	got, err := s.Sign(rand.Reader, long[:], crypto.SHA512)
	if err != nil || rsa.VerifyPKCS1v15(&k.PublicKey, crypto.SHA512, long[:], got) != nil {
		t.Errorf("SHA-512: %v", err)
	}
	short := sha256.Sum256([]byte("text"))
	for what, salt := range map[string]int{"salt of 20": 20, "longest salt": rsa.PSSSaltLengthAuto} {
		got, err := s.Sign(rand.Reader, short[:], &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256})
		if err != nil || rsa.VerifyPSS(&k.PublicKey, crypto.SHA256, short[:], got, &rsa.PSSOptions{SaltLength: salt}) != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.Sign(rand.Reader, short[:31], crypto.SHA256); err == nil {
		t.Error("31 bytes are taken for a hash")
	}
}

// TestAKeyIsTakenAwayWhileItSigns: each signature is good, whoever makes it, and the key is
// gone from the library in the end.
func TestAKeyIsTakenAwayWhileItSigns(t *testing.T) {
	t.Parallel()
	path := faulty(t, "COUNTED")
	l, err := open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	k := key(t, 2048)
	digest := sha256.Sum256([]byte("text"))
	expected, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		s := given(t, l, k)
		var signing sync.WaitGroup
		var signed atomic.Int64
		for range 4 * runtime.GOMAXPROCS(0) {
			signing.Go(func() {
				for range 8 {
					if got, err := s.Sign(nil, digest[:], crypto.SHA256); err != nil || !bytes.Equal(got, expected) {
						t.Errorf("%v", err)
					}
					signed.Add(1)
				}
			})
		}
		for signed.Load() < 8 {
			runtime.Gosched()
		}
		s.Close()
		s.Close()
		signing.Wait()
		if _, err := s.native(pkcs1, digest[:]); err == nil {
			t.Error("it signs still")
		}
		if contexts, keys := counted(t, path, "contexts"), counted(t, path, "keys"); contexts != 0 || keys != 0 {
			t.Errorf("%d contexts and %d keys are left in the library", contexts, keys)
		}
	}
	if failed := l.failed.Load(); failed != 0 {
		t.Errorf("%d failures were counted", failed)
	}
}

func TestALibraryThatIsNotAsItShouldBeIsNotUsed(t *testing.T) {
	t.Parallel()
	for why, path := range map[string]string{
		"open the library":                filepath.Join(t.TempDir(), "libcrypto.so.3"),
		"is OpenSSL 1, not 3":             faulty(t, "VERSION=0x1010117fL"),
		"is OpenSSL 4, not 3":             faulty(t, "VERSION=0x40000000L"),
		"is OpenSSL 3.0.4":                faulty(t, "VERSION=0x30000040L"),
		"could not be initialised":        faulty(t, "UNREADY"),
		"OpenSSL does not say why":        faulty(t, "GOOD=0"),
		"its signature is not the one of": faulty(t, "GOOD=0", "WRONG"),
		"its signature with PSS is wrong": faulty(t, "GOOD=1", "WRONG"),
		"find a function of libc.so.6":    "libc.so.6",
	} {
		_, err := open(path, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v; want %q", err, why)
		}
	}
}

func TestAnErrorOfTheLibraryIsAnsweredByTheStandardLibrary(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	path := faulty(t, "GOOD=10")
	l, err := open(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	k := key(t, 2048)
	s := given(t, l, k)
	digest := sha256.Sum256([]byte("text"))
	expected, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if got, err := s.Sign(nil, digest[:], crypto.SHA256); err != nil || !bytes.Equal(got, expected) {
			t.Errorf("signature %d: %v", i, err)
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != maxFailed+1 || strings.Count(log.String(), "not used until the next start") != 1 {
		t.Errorf("%d lines: %s", lines, &log)
	}
	if made := counted(t, path, "made"); made != 10+maxFailed {
		t.Errorf("it was asked %d times", made)
	}
	other := key(t, 2048)
	if _, err := l.Signer("k2", other); err == nil {
		t.Error("it takes another key")
	}
}

// TestManySignaturesNeedNoMoreMemory: what a call forgets to free would be there a million
// times after an hour. INGAM_TEST_SIGNATURES is how many signatures are made.
func TestManySignaturesNeedNoMoreMemory(t *testing.T) {
	l, k := system(t), key(t, 2048)
	digest := sha256.Sum256([]byte("text"))
	many := 4000
	if n, err := strconv.Atoi(os.Getenv("INGAM_TEST_SIGNATURES")); err == nil {
		many = n
	}
	sign := func(n int) {
		for i := range n {
			if i%500 == 0 { // a key comes and goes, too
				given(t, l, k).Close()
			}
			s := given(t, l, k)
			for range 10 {
				if _, err := s.native(pkcs1, digest[:]); err != nil {
					t.Fatal(err)
				}
			}
			s.Close()
		}
	}
	sign(200)
	before := resident(t)
	sign(many / 10)
	if grown := resident(t) - before; grown > 4<<20 {
		t.Errorf("%d signatures left %d kB", many, grown>>10)
	}
}

// resident returns how many bytes of the process are in memory.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func BenchmarkSign(b *testing.B) {
	k := key(b, 2048)
	s := given(b, system(b), k)
	digest := sha256.Sum256([]byte("text"))
	for name, signer := range map[string]crypto.Signer{"openssl": s, "go": k} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signer.Sign(nil, digest[:], crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
