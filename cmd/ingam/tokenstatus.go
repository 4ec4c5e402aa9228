package main

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/keys"
)

const (
	// maxList limits the unpacked length of a status list; the token with the list may
	// be twice as long. A few bytes of ZLIB can unpack to gigabytes.
	maxList = 16 << 20
	// clockSkew is by how much this machine's clock and the issuer's may differ.
	clockSkew = 30 * time.Second
)

// revokedByList reports whether a token was revoked, by the issuer's status list that
// it refers to. It fetches the list as any resource server would (Token Status List
// draft, section 8.3). An error means that the answer is unknown.
func revokedByList(ctx context.Context, set keys.KeySet, issuer string, base status.Base, ref status.Ref, now time.Time) (bool, error) {
	// The address is made from the issuer and the list's number, and not read from the
	// token, so a token cannot make this command fetch something else.
	uri := base.URI(ref.List)
	body, err := fetch(ctx, uri, 2*maxList)
	if err != nil {
		return false, fmt.Errorf("its status list could not be fetched: %w", err)
	}
	verified, err := set.Verify(string(body), lists.TokenType)
	if err != nil {
		return false, fmt.Errorf("its status list: %w", err)
	}
	var list struct {
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		IssuedAt  int64  `json:"iat"`
		ExpiresAt int64  `json:"exp"`
		List      struct {
			Bits int    `json:"bits"`
			List string `json:"lst"`
		} `json:"status_list"`
	}
	if err := json.Unmarshal(verified.Payload, &list); err != nil {
		return false, errors.New("the claims of its status list cannot be read")
	}
	switch {
	case list.Issuer != issuer || list.Subject != uri:
		// It may be another list that the issuer has signed, in which the bit is not
		// set.
		return false, fmt.Errorf("at %s there is another status list", uri)
	case time.Unix(list.IssuedAt, 0).After(now.Add(clockSkew)):
		return false, errors.New("its status list was issued in the future")
	case !now.Before(time.Unix(list.ExpiresAt, 0).Add(clockSkew)):
		// An old list does not show what was revoked later.
		return false, errors.New("its status list has expired")
	case list.List.Bits != 1:
		return false, fmt.Errorf("its status list has %d bits for each token, not 1", list.List.Bits)
	}
	bits, err := unpackList(list.List.List)
	if err != nil {
		return false, fmt.Errorf("its status list: %w", err)
	}
	if ref.Index < 0 || ref.Index >= int64(len(bits))*8 {
		return false, errors.New("its status list does not have its index")
	}
	return bits[ref.Index/8]>>(ref.Index%8)&1 != 0, nil
}

// unpackList decodes the `lst` of a status list: base64url of ZLIB of the bits.
func unpackList(lst string) ([]byte, error) {
	packed, err := base64.RawURLEncoding.DecodeString(lst)
	if err != nil {
		return nil, errors.New("it is not base64url")
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errors.New("it is not ZLIB")
	}
	bits, err := io.ReadAll(io.LimitReader(z, maxList+1))
	switch {
	case err != nil:
		return nil, errors.New("it cannot be unpacked")
	case len(bits) > maxList:
		return nil, fmt.Errorf("it has more than %d bytes when unpacked", maxList)
	}
	return bits, nil
}
