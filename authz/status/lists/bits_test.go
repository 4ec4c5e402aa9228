package lists

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

func decode(t testing.TB, lst string) []byte {
	t.Helper()
	packed, err := base64.RawURLEncoding.DecodeString(lst)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestListsAreAsTheDraftHasThem packs the published vectors that have one bit per status.
// They must unpack to the same bytes. (How well zlib packs differs between
// implementations.)
func TestListsAreAsTheDraftHasThem(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../../verify/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var published struct {
		Vectors []struct {
			Bits int            `json:"bits"`
			Size int64          `json:"size"`
			Set  map[string]int `json:"set"`
			Lst  string         `json:"lst"`
		} `json:"vectors"`
	}
	if err := json.Unmarshal(file, &published); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, v := range published.Vectors {
		if v.Bits != 1 {
			continue
		}
		tried++
		b := newBits(v.Size)
		for index := range v.Set {
			i, err := strconv.ParseInt(index, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			b.setRun(Run{First: i, Size: 1})
		}
		if !bytes.Equal(decode(t, b.encode()), decode(t, v.Lst)) {
			t.Errorf("a list of %d is not as published", v.Size)
		}
	}
	if tried != 2 {
		t.Errorf("%d lists of one bit", tried)
	}
}

func TestOnlyRunsThatAListHoldsAreSet(t *testing.T) {
	t.Parallel()
	b := newBits(64)
	for run, want := range map[Run]bool{
		{First: 0, Size: 64}: true, {First: 63, Size: 1}: true, {First: 64, Size: 1}: false, {First: -1, Size: 2}: false,
		{First: 60, Size: 5}: false, {First: 3, Size: 0}: false, {First: 1, Size: 1 << 62}: false,
	} {
		if b.holds(run) != want {
			t.Errorf("%v: %t", run, !want)
		}
	}
	b.setRun(Run{Size: 64})
	if !bytes.Equal(b, bytes.Repeat([]byte{0xff}, 8)) {
		t.Errorf("%x", b)
	}
}

// BenchmarkSize reports how large a list is in base64url, for some sizes and some numbers
// of indices that are set at random places.
func BenchmarkSize(b *testing.B) {
	for _, size := range []int64{1e4, 1e6, 1e7} {
		for _, set := range []int64{0, 100, 10_000} {
			b.Run(fmt.Sprintf("%d/%d", size, set), func(b *testing.B) {
				list := newBits(size)
				anywhere := rand.New(rand.NewPCG(1, 2))
				for range set {
					list.setRun(Run{First: anywhere.Int64N(size), Size: 1})
				}
				var lst string
				for b.Loop() {
					lst = list.encode()
				}
				b.ReportMetric(float64(len(lst)), "B")
			})
		}
	}
}
