/*
 * The state of one reading of config.json, shared by its parts:
 *
 *   config_parse.c     the whole, members, aliases, default model
 *   config_provider.c  one entry of `providers`
 *   config_quirks.c    its `capabilities`
 *   config_settings.c  `globalSettings` and `listen`
 *
 * Private to these files. Every part reports problems and reads on, so that one look shows all of
 * them; config_parse() decides at the end. What is read lives in the snapshot's arena, which is
 * bounded by the limits below: running out of it means memory is out, and aborts.
 */
#pragma once

#include "state/config_report.h"

#define CONFIG_PROVIDERS_MAX 256
#define CONFIG_MODELS_MAX    1024 /* of one provider */
#define CONFIG_MODELS_TOTAL  8192
#define CONFIG_ALIASES_MAX   1024
#define CONFIG_LISTEN_MAX    16
#define CONFIG_NAME_MAX      63  /* bytes of a provider's name */
#define CONFIG_QUIRKS_MAX    256 /* models with capabilities of their own, of one provider */

/* A plain key, to be handed over when the whole text turned out to be good. */
struct config_plain_key {
    const struct provider *provider;
    struct json value;
};

struct config_reader {
    struct config_text text;
    struct config_report report;
    struct config *config;
    struct arena scratch; /* decoded strings while reading; never a key */
    const char *file;
    unsigned mode;
    struct config_plain_key keys[CONFIG_PROVIDERS_MAX];
    size_t key_count;
    struct span names[CONFIG_PROVIDERS_MAX]; /* of all providers so far, also of skipped ones */
    size_t name_count;
    size_t model_count;              /* of all providers so far */
    struct catalogue_model *skipped; /* models of providers this version cannot serve */
    size_t skipped_count;
};

enum member_type { MEMBER_STRING, MEMBER_ARRAY, MEMBER_OBJECT, MEMBER_BOOL, MEMBER_NUMBER };

struct member_row {
    const char *name;
    enum member_type type;
};

/*
 * Finds the members of an object that `rows` (ended by a NULL name) lists: out[i] is that of
 * rows[i], JSON_ABSENT when it is missing or null. One of another type is an error and JSON_ABSENT
 * too, but keeps its place, so that nobody calls it missing (config_is_missing). Unknown members
 * are warnings.
 */
void config_read_members(struct config_reader *reader, struct json object,
                         const struct member_row *rows, struct json *out);

static inline bool config_is_missing(struct json member)
{
    return member.type == JSON_ABSENT && !member.at;
}

size_t config_count_members(struct json object);

/* Memory of the snapshot; never NULL. */
void *config_alloc(struct config_reader *reader, size_t size);
const char *config_copy(struct config_reader *reader, struct span text);
/* The decoded text of a string, valid while reading. Not for keys. */
struct span config_string(struct config_reader *reader, struct json string);
/* Why a text cannot be a model's or alias' name, or NULL. */
const char *config_name_fault(struct span name);
/* The name stands for the project's model, so nothing configured may be called so. */
bool config_is_standing(struct span name);

/* `providers`: fills the snapshot's providers. */
void config_read_providers(struct config_reader *reader, struct json array);
/* `capabilities` of a provider whose models are known; JSON_ABSENT changes nothing. */
void config_read_quirks(struct config_reader *reader, struct json object,
                        struct provider *provider);
/* Hands every plain key over; the text was good. */
void config_hand_over_keys(struct config_reader *reader, config_key_fn fn, void *ctx);

/* `globalSettings`; JSON_ABSENT gives the defaults. */
void config_read_settings(struct config_reader *reader, struct json object);
/* `listen`; JSON_ABSENT gives the default addresses. */
void config_read_listen(struct config_reader *reader, struct json array);
