//go:build linux && cgo && !static

package openssl

import (
	"crypto/fips140"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/ebitengine/purego"
)

// name is the library of OpenSSL 3, which keeps this name for all of its versions.
const name = "libcrypto.so.3"

// The options of OPENSSL_init_crypto. Without them the library would read the system's
// configuration, which can load anything, and clean up in an exit handler while other
// threads still sign.
const (
	initNoLoadConfig = 0x00000080
	initNoAtExit     = 0x00080000
)

// corrupting is the one version that may corrupt the heap with each signature by a key of 2048
// bits, on processors with AVX-512 IFMA. A signature that is right does not show it.
const corrupting = 0x30000040

// Library is the system's OpenSSL, opened and tried.
type Library struct {
	functions
	version string
	log     *slog.Logger
	// turns bounds calls to the number of cores: each occupies a thread, and more of them
	// at once would not be done sooner.
	turns chan struct{}
	// failed counts calls that ended with an error. From maxFailed on the library is not used
	// any more. A good call forgives none: one that was under way would switch the library on
	// again, and one that fails now and then would write to the log for ever.
	failed atomic.Int64
}

// maxFailed is how many calls may fail before the library is left alone.
const maxFailed = 3

// functions are addresses in the library, by the names that they have there.
type functions struct {
	initCrypto, versionNum, versionText                    uintptr
	parsePrivate, freeKey, newContext, freeContext         uintptr
	signInit, setPadding, setDigest, setSaltLength, signIt uintptr
	sha256, getError, errorText, clearErrors               uintptr
}

func (f *functions) names() map[string]*uintptr {
	return map[string]*uintptr{
		"OPENSSL_init_crypto": &f.initCrypto, "OpenSSL_version_num": &f.versionNum, "OpenSSL_version": &f.versionText,
		"d2i_AutoPrivateKey": &f.parsePrivate, "EVP_PKEY_free": &f.freeKey,
		"EVP_PKEY_CTX_new": &f.newContext, "EVP_PKEY_CTX_free": &f.freeContext,
		"EVP_PKEY_sign_init": &f.signInit, "EVP_PKEY_CTX_set_rsa_padding": &f.setPadding,
		"EVP_PKEY_CTX_set_signature_md": &f.setDigest, "EVP_PKEY_CTX_set_rsa_pss_saltlen": &f.setSaltLength,
		"EVP_PKEY_sign": &f.signIt, "EVP_sha256": &f.sha256,
		"ERR_get_error": &f.getError, "ERR_error_string_n": &f.errorText, "ERR_clear_error": &f.clearErrors,
	}
}

// Open opens the library, and tries it. It is never closed: threads keep its state.
func Open(log *slog.Logger) (*Library, error) {
	if fips140.Enabled() { // who switched it on has promised that Go's module signs
		return nil, errors.New("the FIPS 140-3 mode of Go is on, and OpenSSL is not part of it")
	}
	return open(name, log)
}

func open(path string, log *slog.Logger) (*Library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("open the library: %w", err)
	}
	l := &Library{log: log, turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
	for symbol, address := range l.names() {
		if *address, err = purego.Dlsym(handle, symbol); err != nil {
			return nil, fmt.Errorf("find a function of %s: %w", path, err)
		}
	}
	// Functions that ask for the version initialise nothing, so they come first.
	number, _, _ := purego.SyscallN(l.versionNum)
	if major := uint32(number) >> 28; major != 3 {
		return nil, fmt.Errorf("%s is OpenSSL %d, not 3", path, major)
	}
	if uint32(number) == corrupting {
		return nil, fmt.Errorf("%s is OpenSSL 3.0.4, which writes beyond its memory when it signs (CVE-2022-2274)", path)
	}
	if ok, _, _ := purego.SyscallN(l.initCrypto, initNoLoadConfig|initNoAtExit, 0); int32(ok) != 1 {
		return nil, errors.New("OpenSSL could not be initialised")
	}
	text, _, _ := purego.SyscallN(l.versionText, 0)
	l.version = goString(text)
	if err := l.try(); err != nil {
		return nil, fmt.Errorf("%s: %w", l.version, err)
	}
	return l, nil
}

// Version returns what the library says that it is, such as "OpenSSL 3.0.19 27 Jan 2026".
func (l *Library) Version() string { return l.version }

// try signs a known text with a known key.
func (l *Library) try() error {
	key, err := knownKey()
	if err != nil {
		return err
	}
	s, err := l.accept(key)
	if err != nil {
		return err
	}
	defer s.Close()
	digest := sha256.Sum256([]byte(knownText))
	return s.answers(digest[:], decoded(knownSignature))
}

// goString copies a text of C's that ends with a zero byte. It is not for Go's memory, which
// an address does not keep from the garbage collector.
func goString(address uintptr) string {
	if address == 0 {
		return ""
	}
	// The address comes from C and does not move; this spelling tells vet so.
	start := *(*unsafe.Pointer)(unsafe.Pointer(&address))
	length := 0
	for *(*byte)(unsafe.Add(start, length)) != 0 {
		length++
	}
	return string(unsafe.Slice((*byte)(start), length))
}
