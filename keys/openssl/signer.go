//go:build linux && cgo && !static

package openssl

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// signer is an RSA key whose signatures the library makes. It signs SHA-256, with PKCS #1
// v1.5 and with PSS; all else, and whatever the library cannot do, is done by crypto/rsa.
type signer struct {
	lib     *Library
	private *rsa.PrivateKey
	// key is the library's EVP_PKEY. It counts its users: each context is one, and the
	// signer until Close.
	key uintptr

	mu     sync.Mutex
	closed bool
	idle   map[scheme][]*context
}

// scheme is how a hash is padded.
type scheme int32

// The schemes, by their numbers in OpenSSL.
const (
	pkcs1 scheme = 1
	pss   scheme = 6
)

// context is an EVP_PKEY_CTX that is ready to sign, for one call at a time. What C reads
// and writes is part of it, because memory on the stack of a goroutine moves.
type context struct {
	address   uintptr
	digest    [sha256.Size]byte
	signature []byte
	length    uintptr
}

// Signer implements keys.Engine: it gives a key to the library, and checks that its first
// signature is the one that crypto/rsa makes. What it returns implements io.Closer.
func (l *Library) Signer(kid string, private *rsa.PrivateKey) (crypto.Signer, error) {
	s, err := l.accept(private)
	if err != nil {
		l.log.Warn("OpenSSL cannot sign with a key; crypto/rsa does", "kid", kid, "error", err)
		return nil, err
	}
	return s, nil
}

func (l *Library) accept(private *rsa.PrivateKey) (*signer, error) {
	if len(private.Primes) != 2 {
		return nil, errors.New("OpenSSL signs with keys of two primes only")
	}
	s := &signer{lib: l, private: private, idle: map[scheme][]*context{}}
	der := x509.MarshalPKCS1PrivateKey(private)
	defer clear(der)
	start := uintptr(unsafe.Pointer(&der[0])) // C moves it on
	err := l.call(func() error {
		if s.key, _, _ = purego.SyscallN(l.parsePrivate, 0, uintptr(unsafe.Pointer(&start)), uintptr(len(der))); s.key == 0 {
			return l.reason("read a key")
		}
		return nil
	})
	runtime.KeepAlive(der)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte("the first signature of a key"))
	expected, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	if err == nil {
		err = s.answers(digest[:], expected)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// answers checks a signature with PKCS #1 v1.5, and one with PSS, which is random.
func (s *signer) answers(digest, expected []byte) error {
	signature, err := s.native(pkcs1, digest)
	if err != nil {
		return err
	}
	if string(signature) != string(expected) {
		return errors.New("its signature is not the one of crypto/rsa")
	}
	if signature, err = s.native(pss, digest); err != nil {
		return err
	}
	options := &rsa.PSSOptions{SaltLength: sha256.Size}
	if rsa.VerifyPSS(&s.private.PublicKey, crypto.SHA256, digest, signature, options) != nil {
		return errors.New("its signature with PSS is wrong")
	}
	return nil
}

// Public implements crypto.Signer.
func (s *signer) Public() crypto.PublicKey { return s.private.Public() }

// Sign implements crypto.Signer. It fails only where crypto/rsa does.
func (s *signer) Sign(_ io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if by, ok := schemeOf(options); ok && len(digest) == sha256.Size && s.lib.works() {
		signature, err := s.native(by, digest)
		if err == nil {
			return signature, nil
		}
		if !errors.Is(err, errClosed) && !errors.Is(err, errOff) {
			s.lib.fail(err)
		}
	}
	return s.private.Sign(rand.Reader, digest, options)
}

// schemeOf returns how a hash is to be padded, if the library is asked for that.
func schemeOf(options crypto.SignerOpts) (by scheme, ok bool) {
	if options.HashFunc() != crypto.SHA256 {
		return 0, false
	}
	padding, ok := options.(*rsa.PSSOptions)
	if !ok {
		return pkcs1, true
	}
	return pss, padding.SaltLength == sha256.Size || padding.SaltLength == rsa.PSSSaltLengthEqualsHash
}

// With these errors the library was not asked, so they are no failures of it.
var (
	errClosed = errors.New("the key was taken from the library")
	errOff    = errors.New("OpenSSL failed several times and is not used until the next start")
)

func (s *signer) native(by scheme, digest []byte) (signature []byte, err error) {
	l := s.lib
	err = l.call(func() error {
		c, err := s.take(by)
		if err != nil {
			return err
		}
		copy(c.digest[:], digest)
		c.length = uintptr(len(c.signature))
		done, _, _ := purego.SyscallN(l.signIt, c.address,
			uintptr(unsafe.Pointer(&c.signature[0])), uintptr(unsafe.Pointer(&c.length)),
			uintptr(unsafe.Pointer(&c.digest[0])), sha256.Size)
		if int32(done) != 1 {
			err = l.reason("sign")
		} else if c.length != uintptr(len(c.signature)) {
			// Taken as it is, it would end the request with a panic or make a bad token.
			err = errors.New("sign: the signature is not as long as the key")
		}
		if err != nil {
			s.drop(c)
			return err
		}
		signature = append([]byte(nil), c.signature...)
		s.put(by, c)
		return nil
	})
	return signature, err
}

// take returns a context that nobody else uses.
func (s *signer) take(by scheme) (*context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if idle := s.idle[by]; len(idle) > 0 {
		c := idle[len(idle)-1]
		s.idle[by] = idle[:len(idle)-1]
		return c, nil
	}
	return s.prepare(by)
}

// prepare makes a context. It is called with the lock held, so the key is there.
func (s *signer) prepare(by scheme) (*context, error) {
	l, c := s.lib, &context{signature: make([]byte, s.private.Size())}
	if c.address, _, _ = purego.SyscallN(l.newContext, s.key, 0); c.address == 0 {
		return nil, l.reason("prepare a signature")
	}
	digest, _, _ := purego.SyscallN(l.sha256)
	steps := [][]uintptr{{l.signInit, c.address}, {l.setPadding, c.address, uintptr(by)}, {l.setDigest, c.address, digest}}
	if by == pss {
		steps = append(steps, []uintptr{l.setSaltLength, c.address, sha256.Size})
	}
	for _, step := range steps {
		if done, _, _ := purego.SyscallN(step[0], step[1:]...); int32(done) != 1 {
			err := l.reason("prepare a signature")
			s.drop(c)
			return nil, err
		}
	}
	return c, nil
}

func (s *signer) put(by scheme, c *context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.drop(c)
		return
	}
	s.idle[by] = append(s.idle[by], c)
}

// drop frees a context and, if it was the last user of the key, the key.
func (s *signer) drop(c *context) { purego.SyscallN(s.lib.freeContext, c.address) }

// Close implements io.Closer. It takes the key from the library, which overwrites it when the last signature that is
// being made with it is done. Whoever still signs with the signer gets a signature by
// crypto/rsa: Go's own copy of the key can be dropped, but not overwritten.
func (s *signer) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for _, idle := range s.idle {
		for _, c := range idle {
			s.drop(c)
		}
	}
	s.idle = nil
	purego.SyscallN(s.lib.freeKey, s.key)
	return nil
}

// call runs calls into the library that belong together, on one thread: its errors wait in
// a queue that each thread has for itself.
func (l *Library) call(do func() error) error {
	l.turns <- struct{}{}
	runtime.LockOSThread()
	defer func() {
		runtime.UnlockOSThread()
		<-l.turns
	}()
	// It may have been given up while this call waited. Hundreds wait in a flood of requests,
	// and each of them would fail, and log it.
	if !l.works() {
		return errOff
	}
	// What another user of the library in this process left in the queue, such as a plugin of
	// libc that looks up names, would be taken for the reason.
	purego.SyscallN(l.clearErrors)
	return do()
}

// reason takes the first error from the thread's queue, and empties it. OpenSSL's texts name
// functions and causes, never keys.
func (l *Library) reason(doing string) error {
	code, _, _ := purego.SyscallN(l.getError)
	text := make([]byte, 256)
	purego.SyscallN(l.errorText, code, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)))
	purego.SyscallN(l.clearErrors)
	if code == 0 {
		return fmt.Errorf("%s: OpenSSL does not say why", doing)
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	return fmt.Errorf("%s: %s", doing, text)
}

func (l *Library) works() bool { return l.failed.Load() < maxFailed }

// fail logs that crypto/rsa answered instead.
func (l *Library) fail(err error) {
	l.log.Warn("OpenSSL failed to sign; crypto/rsa signed instead", "error", err)
	if l.failed.Add(1) == maxFailed {
		l.log.Error(errOff.Error(), "times", maxFailed)
	}
}
