//go:build linux && cgo && !static

package openssl

import (
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// counted returns a number that a faulty library counts.
func counted(t *testing.T, path, name string) int32 {
	t.Helper()
	handle, err := purego.Dlopen(path, purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	address, err := purego.Dlsym(handle, name)
	if err != nil {
		t.Fatal(err)
	}
	return *(*int32)(*(*unsafe.Pointer)(unsafe.Pointer(&address)))
}
