package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrMasterKey: the master key is missing, not one, or not the one that sealed
// what is to be opened.
var ErrMasterKey = errors.New("master key")

// MasterKey seals private keys at rest. It is a keyset: the newest of its keys
// seals, and all of them open, so that it can be replaced without a moment in
// which something cannot be opened.
type MasterKey struct {
	aead tink.AEAD
	// path is named to whoever gave the wrong file.
	path string
}

// OpenMasterKey reads a master key file. If it is not there, the error is
// fs.ErrNotExist too, and advises to make one.
func OpenMasterKey(path string) (*MasterKey, error) {
	handle, err := readMasterKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; make one with: ingam master-key new --out %s", err, path)
	}
	if err != nil {
		return nil, err
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("%w: %s holds a key of another kind", ErrMasterKey, path)
	}
	return &MasterKey{a, path}, nil
}

func readMasterKey(path string) (*keyset.Handle, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &missing{path}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMasterKey, err)
	}
	// The parser's error could quote the file, which is all secret.
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(b)))
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not a master key file", ErrMasterKey, path)
	}
	return handle, nil
}

// missing is the error of a master key file that is not there.
type missing struct{ path string }

func (e *missing) Error() string   { return fmt.Sprintf("%v: there is no file %s", ErrMasterKey, e.path) }
func (e *missing) Unwrap() []error { return []error{ErrMasterKey, fs.ErrNotExist} }

// WriteMasterKey makes a new master key in a new file that only its owner can
// read. If from is not empty, it is an older master key file whose keys the new
// one opens as well. An existing file is left alone: fs.ErrExist.
func WriteMasterKey(path, from string) error {
	m := keyset.NewManager()
	if from != "" {
		old, err := readMasterKey(from)
		if err != nil {
			return err
		}
		m = keyset.NewManagerFromHandle(old)
	}
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMasterKey, err)
	}
	if err := m.SetPrimary(id); err != nil {
		return fmt.Errorf("%w: %w", ErrMasterKey, err)
	}
	handle, err := m.Handle()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMasterKey, err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		return fmt.Errorf("%w: %w", ErrMasterKey, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMasterKey, err)
	}
	_, err = f.Write(append(b.Bytes(), '\n'))
	// Synced, because keys sealed under it will outlast a power cut.
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrMasterKey, err), os.Remove(path))
	}
	return nil
}

// seal encrypts a private key, bound to its ring and kid: a sealed key that is
// moved to another row does not open there.
func (m *MasterKey) seal(ring Ring, kid string, private []byte) ([]byte, error) {
	return m.aead.Encrypt(private, sealedFor(ring, kid))
}

func (m *MasterKey) open(ring Ring, kid string, sealed []byte) ([]byte, error) {
	private, err := m.aead.Decrypt(sealed, sealedFor(ring, kid))
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot open the signing key %s (ring %s): the master key file %s is not the one that this database's keys were sealed under", ErrMasterKey, kid, ring, m.path)
	}
	return private, nil
}

func sealedFor(ring Ring, kid string) []byte {
	return []byte("ingam signing key\x00" + string(ring) + "\x00" + kid)
}
