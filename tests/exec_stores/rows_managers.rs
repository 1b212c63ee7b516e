//! Managers of passwords, and files.

use serde_json::json;

use super::rows::{ID, Preset, bare, document, line};

pub(super) const ROWS: &[Preset] = &[
    Preset {
        id: "op",
        settings: "account = \"acme.1password.com\"",
        place: "Work/GitHub/token",
        prints: bare,
        is_raw: true,
        failures: &[
            (
                1,
                "",
                "[ERROR] 2026/11/27 \"Work\" isn't a vault in this account.",
                "secret-not-found",
            ),
            (
                1,
                "",
                "[ERROR] \"GitHub\" isn't an item in the \"Work\" vault.",
                "secret-not-found",
            ),
            (
                1,
                "",
                "[ERROR] item 'Work/GitHub' does not have a field 'token'",
                "secret-not-found",
            ),
            (
                1,
                "",
                "[ERROR] More than one item matches \"GitHub\".",
                "secret-ambiguous",
            ),
            (
                1,
                "",
                "[ERROR] You are not currently signed in. Please run `op signin --help`",
                "store-signed-out",
            ),
            (
                1,
                "",
                "[ERROR] account is not signed in",
                "store-signed-out",
            ),
            (
                1,
                "",
                "[ERROR] session expired, sign in to create a new session",
                "store-signed-out",
            ),
            (
                1,
                "",
                "[ERROR] authorization prompt dismissed, please try again",
                "store-denied",
            ),
            (1, "", "[ERROR] rate limit exceeded", "store-throttled"),
            (
                1,
                "",
                "[ERROR] dial tcp: lookup acme.1password.com: no such host",
                "store-unavailable",
            ),
        ],
    },
    Preset {
        id: "bws",
        settings: "env = { BWS_ACCESS_TOKEN = \"secret:bws\" }",
        place: ID,
        prints: |value| {
            document(&json!({"object": "secret", "id": ID, "key": "k", "value": value}))
        },
        is_raw: false,
        failures: &[
            (
                1,
                "",
                "Error: Received error message from server: [404 Not Found] {\"message\":\"Resource not found.\"}",
                "secret-not-found",
            ),
            (
                1,
                "",
                "Error: The secret was not found or is not accessible.\nHint: check it",
                "secret-not-found",
            ),
            (
                1,
                "",
                "Error: Received error message from server: [401 Unauthorized]",
                "store-signed-out",
            ),
            (1, "", "Error: Missing access token", "store-signed-out"),
            (
                1,
                "",
                "Error: Received error message from server: [403 Forbidden]",
                "store-denied",
            ),
            (
                1,
                "",
                "Error: Received error message from server: [429 Too Many Requests]",
                "store-throttled",
            ),
            (1, "", "error sending request for url", "store-unavailable"),
        ],
    },
    Preset {
        id: "bw",
        settings: "env = { BW_SESSION = \"secret:bws\" }",
        place: ID,
        prints: |value| {
            document(
                &json!({"success": true, "data": {"object": "item", "login": {"password": value}}}),
            )
        },
        is_raw: false,
        failures: &[
            (
                1,
                "{\"success\":false,\"message\":\"Not found.\"}",
                "",
                "secret-not-found",
            ),
            (
                1,
                "{\"success\":false,\"message\":\"You are not logged in.\"}",
                "",
                "store-signed-out",
            ),
            (
                1,
                "{\"success\":false,\"message\":\"Vault is locked.\"}",
                "",
                "store-locked",
            ),
            (
                1,
                "{\"success\":false,\"message\":\"More than one result was found. Try getting a specific object by `id` instead.\"}",
                "",
                "secret-ambiguous",
            ),
        ],
    },
    Preset {
        id: "pass",
        settings: "line = \"all\"\nenv = { PASSWORD_STORE_DIR = \"@DIR@\" }",
        place: "web/github",
        prints: line,
        is_raw: true,
        failures: &[
            (
                1,
                "",
                "Error: web/github is not in the password store.",
                "secret-not-found",
            ),
            (
                2,
                "",
                "gpg: decryption failed: No secret key",
                "store-locked",
            ),
            (
                2,
                "",
                "gpg: public key decryption failed: Inappropriate ioctl for device\ngpg: decryption failed",
                "store-locked",
            ),
        ],
    },
    Preset {
        id: "gopass",
        settings: "",
        place: "web/github",
        prints: bare,
        is_raw: true,
        failures: &[
            (
                10,
                "",
                "Error: failed to retrieve secret \"web/github\": entry is not in the password store",
                "secret-not-found",
            ),
            (11, "", "Error: Decryption failed", "store-locked"),
            (19, "", "Error: gpg", "store-locked"),
            (
                6,
                "",
                "Error: password store not initialized",
                "store-absent",
            ),
            (
                1,
                "Usage: gopass show [pass-name]\n",
                "",
                "store-program-refused",
            ),
            (
                1,
                "",
                "Error: flag provided but not defined: -n.",
                "store-program-refused",
            ),
        ],
    },
    Preset {
        id: "sops",
        settings: "directory = \"@DIR@\"",
        place: "file.yaml#gh.token",
        prints: |value| document(&json!({"gh": {"token": value}})),
        is_raw: false,
        failures: &[
            (
                100,
                "",
                "Error: cannot operate on non-existent file",
                "secret-not-found",
            ),
            (
                128,
                "",
                "Failed to get the data key required to decrypt the SOPS file.",
                "store-locked",
            ),
            (25, "", "MAC mismatch.", "store-answer-invalid"),
            (1, "", "sops metadata not found", "store-answer-invalid"),
        ],
    },
    Preset {
        id: "keepassxc",
        settings: "database = \"@DIR@/file.yaml\"\npassword = \"secret:bws\"",
        place: "web/github",
        prints: line,
        is_raw: true,
        failures: &[
            (
                1,
                "",
                "Could not find entry with path web/github.",
                "secret-not-found",
            ),
            (1, "", "ERROR: unknown attribute Token.", "secret-not-found"),
            (
                1,
                "",
                "Error while reading the database: Invalid credentials were provided, please try again.",
                "store-locked",
            ),
        ],
    },
];
