//go:build linux && cgo && !static

package openssl

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// TestALibraryThatFailsNowAndThenIsNotUsedForever: one line for every second token would
// fill a disk, and a library that fails at all has no right to be trusted again.
func TestALibraryThatFailsNowAndThenIsNotUsedForever(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	l, err := open(faulty(t, "GOOD=6", "ALTERNATING"), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := given(t, l, key(t, 2048))
	defer s.Close()
	digest := sha256.Sum256([]byte("text"))
	for range 40 {
		if _, err := s.Sign(nil, digest[:], crypto.SHA256); err != nil {
			t.Error(err)
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != maxFailed+1 {
		t.Errorf("%d lines: %s", lines, &log)
	}
}

// TestWhoWaitedForATurnAsksABrokenLibraryNoMore: in a flood of requests many wait. Each of
// them would fail, and log it, after the library has been given up.
func TestWhoWaitedForATurnAsksABrokenLibraryNoMore(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	path := faulty(t, "GOOD=6", "SLOW=20000")
	l, err := open(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := given(t, l, key(t, 2048))
	defer s.Close()
	digest := sha256.Sum256([]byte("text"))
	var signing sync.WaitGroup
	for range 40 * cap(l.turns) {
		signing.Go(func() {
			if _, err := s.Sign(nil, digest[:], crypto.SHA256); err != nil {
				t.Error(err)
			}
		})
	}
	signing.Wait()
	made := counted(t, path, "made")
	if failed := int(made) - 6; failed > 10*cap(l.turns) {
		t.Errorf("it failed %d times", failed)
	}
	if _, err := l.Signer("k2", key(t, 2048)); err == nil || counted(t, path, "made") != made {
		t.Errorf("it is asked about the next key: %v", err)
	}
}

// TestAnAnswerOfAnotherLengthIsNone: a length beyond the room for it would end the request
// with a panic, and a shorter one would make a token that nobody accepts.
func TestAnAnswerOfAnotherLengthIsNone(t *testing.T) {
	t.Parallel()
	for _, length := range []string{"LENGTH=0", "LENGTH=255", "LENGTH=257", "LENGTH=0xffffffffffffffffUL"} {
		l, err := open(faulty(t, "GOOD=6", length), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		k := key(t, 2048)
		s := given(t, l, k)
		defer s.Close()
		digest := sha256.Sum256([]byte("text"))
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s: %v", length, p)
				}
			}()
			got, err := s.Sign(nil, digest[:], crypto.SHA256)
			if err != nil || rsa.VerifyPKCS1v15(&k.PublicKey, crypto.SHA256, digest[:], got) != nil {
				t.Errorf("%s: %d bytes, %v", length, len(got), err)
			}
		}()
	}
}

// TestAnErrorIsNotBlamedOnAnOlderOne: other code in the process may use the same library,
// such as a plugin of libc that asks a directory for names, and leave errors behind.
func TestAnErrorIsNotBlamedOnAnOlderOne(t *testing.T) {
	t.Parallel()
	l, err := open(faulty(t, "GOOD=6"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := given(t, l, key(t, 2048))
	defer s.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	noKey := make([]byte, 64)
	start := uintptr(unsafe.Pointer(&noKey[0]))
	purego.SyscallN(l.parsePrivate, 0, uintptr(unsafe.Pointer(&start)), uintptr(len(noKey)))
	runtime.KeepAlive(noKey)
	digest := sha256.Sum256([]byte("text"))
	if _, err := s.native(pkcs1, digest[:]); err == nil || err.Error() != "sign: OpenSSL does not say why" {
		t.Error(err)
	}
}

// TestNothingIsLeftInALibraryThatFails counts what is freed when a key is refused, or a
// signature fails.
func TestNothingIsLeftInALibraryThatFails(t *testing.T) {
	t.Parallel()
	digest := sha256.Sum256([]byte("text"))
	for _, good := range []string{"GOOD=4", "GOOD=5", "GOOD=6"} {
		path := faulty(t, good, "COUNTED")
		l, err := open(path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := l.accept(key(t, 2048)); err == nil {
			s.Sign(nil, digest[:], crypto.SHA256)
			s.Close()
		}
		if contexts, keys := counted(t, path, "contexts"), counted(t, path, "keys"); contexts != 0 || keys != 0 {
			t.Errorf("%s: %d contexts and %d keys are left in the library", good, contexts, keys)
		}
	}
}
