package verify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/ingam/ingam/verify"
)

func Example() {
	v, err := verify.New(context.Background(), verify.Config{
		Issuer:   "https://id.example.com",
		Audience: "https://api.example.com",
		Status:   verify.StatusPoll,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer v.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.Require("read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := verify.FromContext(r.Context())
		fmt.Fprintln(w, "orders of", token.Subject)
	})))
	mux.Handle(v.Metadata())
	log.Fatal(http.ListenAndServe("127.0.0.1:8081", mux))
}

// This is for code outside net/http, for instance a gRPC interceptor.
func ExampleVerifier_Verify() {
	check := func(ctx context.Context, v *verify.Verifier, bearer string) (status string) {
		token, err := v.Verify(ctx, bearer)
		if err == nil {
			err = token.Need("read")
		}
		switch {
		case err == nil:
			return "OK"
		case errors.Is(err, verify.ErrInvalid):
			return "UNAUTHENTICATED"
		case errors.Is(err, verify.ErrInsufficientScope):
			return "PERMISSION_DENIED"
		default: // ErrUnavailable
			return "UNAVAILABLE"
		}
	}
	_ = check
}
