// A libcrypto with a fault, for tests: all but what stands here is the system's, which it is
// linked to.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#ifdef VERSION
unsigned long OpenSSL_version_num(void) { return VERSION; }
#endif

#ifdef UNREADY
int OPENSSL_init_crypto(unsigned long long options, const void *settings) { return 0; }
#endif

#ifdef COUNTED
// What is made and not freed again is counted, but not what the system's library makes and
// frees for itself: its own calls come here too.
int contexts = 0, keys = 0;
static void count(int *of, int more, void *caller) {
	Dl_info from;
	if (!dladdr(caller, &from) || !strstr(from.dli_fname, SYSTEM))
		__atomic_add_fetch(of, more, __ATOMIC_SEQ_CST);
}
typedef void *make(void *, void *);
typedef void *parse(void *, const unsigned char **, long);
typedef void release(void *);
void *EVP_PKEY_CTX_new(void *key, void *engine) {
	count(&contexts, 1, __builtin_return_address(0));
	return ((make *)dlsym(RTLD_NEXT, "EVP_PKEY_CTX_new"))(key, engine);
}
void EVP_PKEY_CTX_free(void *context) {
	count(&contexts, -1, __builtin_return_address(0));
	((release *)dlsym(RTLD_NEXT, "EVP_PKEY_CTX_free"))(context);
}
void *d2i_AutoPrivateKey(void *into, const unsigned char **text, long length) {
	count(&keys, 1, __builtin_return_address(0));
	return ((parse *)dlsym(RTLD_NEXT, "d2i_AutoPrivateKey"))(into, text, length);
}
void EVP_PKEY_free(void *key) {
	count(&keys, -1, __builtin_return_address(0));
	((release *)dlsym(RTLD_NEXT, "EVP_PKEY_free"))(key);
}
#endif

#ifdef GOOD
// The first GOOD signatures are those of the system. After them none can be made or, with
// WRONG, they have another bit; with LENGTH, they are said to be that long. With ALTERNATING,
// every second one is good. With SLOW, each fails only after that many microseconds.
typedef int sign(void *, unsigned char *, size_t *, const unsigned char *, size_t);
int made = 0;
int EVP_PKEY_sign(void *context, unsigned char *signature, size_t *length, const unsigned char *digest, size_t size) {
	int before = __atomic_fetch_add(&made, 1, __ATOMIC_SEQ_CST);
#ifdef ALTERNATING
	if (before % 2 == 0)
		before = 0;
#endif
	if (before < GOOD)
		return ((sign *)dlsym(RTLD_NEXT, "EVP_PKEY_sign"))(context, signature, length, digest, size);
#ifdef SLOW
	usleep(SLOW);
#endif
#ifdef WRONG
	int done = ((sign *)dlsym(RTLD_NEXT, "EVP_PKEY_sign"))(context, signature, length, digest, size);
	signature[7] ^= 1;
	return done;
#elif defined LENGTH
	*length = LENGTH;
	return 1;
#else
	return -1;
#endif
}
#endif
