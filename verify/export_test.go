package verify

// Unpack decompresses a list. Tests of the published vectors use it.
func Unpack(bits int, lst string, limit int64) (size uint64, at func(uint64) uint32, err error) {
	b, err := unpack(bits, lst, limit)
	if err != nil {
		return 0, nil, err
	}
	return b.size, b.at, nil
}
