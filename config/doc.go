// Package config owns the settings: which there are, their defaults, and where a value
// may come from.
//
//	defaults → ingam.yaml → INGAM_… → flags → Load → Config → Validate
//
// A setting is one field of Config; its key, its variable and its flag follow from its
// tag (section.name, INGAM_SECTION_NAME, --section-name). Unknown settings are refused,
// because a misspelt one would be ignored silently. All errors are reported at once,
// each with the key and the place of the setting. What a setting means to the server is
// not decided here.
package config
