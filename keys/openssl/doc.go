// Package openssl signs with RSA through the system's OpenSSL 3, which takes about a third of
// the time that crypto/rsa takes on processors with AVX-512 IFMA, and is never slower by much.
//
// The library is opened at run time: nothing is linked, no headers are needed, and where it
// is missing, too old or wrong, Open says so and the caller signs with crypto/rsa. It must
// prove itself first: its version, a known answer, and for each key a signature that is the
// one of crypto/rsa, byte for byte.
//
// An error of the library is answered by crypto/rsa within the same call. What no Go code
// can answer is a fault inside C, such as a bad pointer: it ends the process.
package openssl
