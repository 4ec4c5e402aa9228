package masterkey

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

	"github.com/ingam/ingam/keys"
)

var _ keys.Sealer = (*Key)(nil)

// Key is the master key of a server: it encrypts the private halves of the signing keys
// before they are stored. It is a set of keys, of which the newest encrypts and all
// decrypt. So it can be replaced, and at every moment all that is stored can be read.
type Key struct {
	aead tink.AEAD
	// path is named to whoever gave the wrong file.
	path string
}

// Open reads a master key file. Where it fails the error is keys.ErrMasterKey. If there
// is no such file it is fs.ErrNotExist too, and says how to make one.
func Open(path string) (*Key, error) {
	handle, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; make one with: ingam master-key new --out %s", err, path)
	}
	if err != nil {
		return nil, err
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("%w: %s holds a key of another kind", keys.ErrMasterKey, path)
	}
	return &Key{a, path}, nil
}

func read(path string) (*keyset.Handle, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &missing{path}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", keys.ErrMasterKey, err)
	}
	// The parser's error could quote the file, which is all secret.
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(b)))
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not a master key file", keys.ErrMasterKey, path)
	}
	return handle, nil
}

// missing is the error of a master key file that is not there.
type missing struct{ path string }

func (e *missing) Error() string {
	return fmt.Sprintf("%v: there is no file %s", keys.ErrMasterKey, e.path)
}
func (e *missing) Unwrap() []error { return []error{keys.ErrMasterKey, fs.ErrNotExist} }

// Write makes a new master key, in a new file that only its owner can read. from may
// name an older master key file: the new key then also opens what that one sealed. A
// file that exists is left alone, and the error is fs.ErrExist.
func Write(path, from string) error {
	m := keyset.NewManager()
	if from != "" {
		old, err := read(from)
		if err != nil {
			return err
		}
		m = keyset.NewManagerFromHandle(old)
	}
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrMasterKey, err)
	}
	if err := m.SetPrimary(id); err != nil {
		return fmt.Errorf("%w: %w", keys.ErrMasterKey, err)
	}
	handle, err := m.Handle()
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrMasterKey, err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		return fmt.Errorf("%w: %w", keys.ErrMasterKey, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrMasterKey, err)
	}
	_, err = f.Write(append(b.Bytes(), '\n'))
	// Synced, because keys sealed under it will outlast a power cut.
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", keys.ErrMasterKey, err), os.Remove(path))
	}
	return nil
}

// Seal encrypts the private half of a signing key. What it returns is bound to the ring
// and the kid, so that whoever can write to the database cannot move it to the row of
// another key: it would not open there.
func (m *Key) Seal(ring keys.Ring, kid string, private []byte) ([]byte, error) {
	return m.aead.Encrypt(private, sealedFor(ring, kid))
}

// Open decrypts what Seal returned for that ring and kid, or returns keys.ErrMasterKey.
func (m *Key) Open(ring keys.Ring, kid string, sealed []byte) ([]byte, error) {
	private, err := m.aead.Decrypt(sealed, sealedFor(ring, kid))
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot open the signing key %s (ring %s): the master key file %s is not the one that this database's keys were sealed under", keys.ErrMasterKey, kid, ring, m.path)
	}
	return private, nil
}

func sealedFor(ring keys.Ring, kid string) []byte {
	return []byte("ingam signing key\x00" + string(ring) + "\x00" + kid)
}
