// Package config owns the settings: what there is to set, what each is when
// nobody sets it, and where a value may come from.
//
//	defaults → ingam.yaml → INGAM_… → flags → Load → Config → Validate
//
// A setting is one field of Config; its key, its variable and its flag follow
// from its tag (section.name, INGAM_SECTION_NAME, --section-name). Nothing is
// taken that is not a setting, and everything that is wrong is said at once,
// with the key and the place where it stands. What a setting means to the
// server is not decided here.
package config
