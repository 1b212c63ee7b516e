//! Services.

use serde_json::json;

use super::rows::{Failure, Preset, base64url, document, line};

const AWS: &[Failure] = &[
    (
        254,
        "",
        "An error occurred (ResourceNotFoundException) when calling the GetSecretValue operation: Secrets Manager can't find the specified secret.",
        "secret-not-found",
    ),
    (
        255,
        "",
        "Unable to locate credentials. You can configure credentials by running \"aws configure\".",
        "store-signed-out",
    ),
    (
        255,
        "",
        "An error occurred (ExpiredTokenException) when calling",
        "store-signed-out",
    ),
    (
        255,
        "",
        "An error occurred (AccessDeniedException) when calling",
        "store-denied",
    ),
    (
        255,
        "",
        "An error occurred (ThrottlingException) when calling: Rate exceeded",
        "store-throttled",
    ),
    (
        255,
        "",
        "Could not connect to the endpoint URL: \"https://…\"",
        "store-unavailable",
    ),
    (
        255,
        "",
        "You can't perform this operation on the secret because it was marked for deletion.",
        "secret-deleted",
    ),
];

pub(super) const ROWS: &[Preset] = &[
    Preset {
        id: "aws-sm",
        settings: "region = \"eu-west-1\"",
        place: "prod/github",
        prints: |value| {
            document(
                &json!({"ARN": "arn:x", "Name": "prod/github", "VersionId": "v1", "SecretString": value}),
            )
        },
        is_raw: false,
        failures: AWS,
    },
    Preset {
        id: "aws-ssm",
        settings: "region = \"eu-west-1\"",
        place: "/prod/github",
        prints: |value| {
            document(
                &json!({"Parameters": [{"Name": "/prod/github", "Value": value, "Version": 3}], "InvalidParameters": []}),
            )
        },
        is_raw: false,
        failures: AWS,
    },
    Preset {
        id: "gcp",
        settings: "project = \"acme\"",
        place: "github",
        prints: base64url,
        is_raw: false,
        failures: &[
            (
                1,
                "",
                "ERROR: (gcloud.secrets.versions.access) NOT_FOUND: Secret [projects/1/secrets/github] not found",
                "secret-not-found",
            ),
            (
                1,
                "",
                "ERROR: (gcloud.secrets.versions.access) PERMISSION_DENIED: Permission",
                "store-denied",
            ),
            (
                1,
                "",
                "ERROR: UNAUTHENTICATED: Request had invalid authentication credentials",
                "store-signed-out",
            ),
            (
                1,
                "",
                "ERROR: You do not currently have an active account selected.",
                "store-signed-out",
            ),
            (1, "", "Reauthentication required.", "store-signed-out"),
            (
                1,
                "",
                "ERROR: FAILED_PRECONDITION: Secret Version [1] is in DESTROYED state.",
                "secret-deleted",
            ),
            (
                1,
                "",
                "ERROR: RESOURCE_EXHAUSTED: Quota exceeded",
                "store-throttled",
            ),
        ],
    },
    Preset {
        id: "azure",
        settings: "subscription = \"acme\"\nvault = \"corp\"",
        place: "github",
        prints: |value| {
            document(
                &json!({"value": value, "id": "https://corp.vault.azure.net/secrets/github/v9", "attributes": {"expires": null}}),
            )
        },
        is_raw: false,
        failures: &[
            (
                3,
                "",
                "ERROR: (SecretNotFound) A secret with (name/id) github was not found in this key vault.",
                "secret-not-found",
            ),
            (
                1,
                "",
                "ERROR: Please run 'az login' to setup account.",
                "store-signed-out",
            ),
            (
                1,
                "",
                "ERROR: (Forbidden) The user, group or application does not have secrets get permission",
                "store-denied",
            ),
            (
                1,
                "",
                "ERROR: AADSTS700082: The refresh token has expired due to inactivity.",
                "store-signed-out",
            ),
            (
                1,
                "",
                "HTTPSConnectionPool: Failed to establish a new connection",
                "store-unavailable",
            ),
        ],
    },
    Preset {
        id: "doppler",
        settings: "project = \"web\"\nconfig = \"prd\"",
        place: "GITHUB_TOKEN",
        prints: |value| document(&json!({"GITHUB_TOKEN": {"computed": value, "note": ""}})),
        is_raw: false,
        failures: &[
            (
                1,
                "",
                "Doppler Error: Could not find requested secret: GITHUB_TOKEN",
                "secret-not-found",
            ),
            (
                1,
                "",
                "Doppler Error: you must provide a token",
                "store-signed-out",
            ),
            (
                1,
                "",
                "Unable to fetch secrets\nDoppler Error: Invalid Service token",
                "store-signed-out",
            ),
            (
                1,
                "",
                "Doppler Error: This token does not have access to requested project 'web'",
                "store-denied",
            ),
            (1, "{}\n", "", "store-failed"),
            (0, "{}\n", "", "secret-not-found"),
        ],
    },
    Preset {
        id: "infisical",
        settings: "project = \"p1\"\nenvironment = \"prod\"",
        place: "/web/GITHUB_TOKEN",
        prints: line,
        is_raw: true,
        failures: &[
            (0, "", "", "secret-not-found"),
            (0, "*not found*\n", "", "secret-not-found"),
            (
                1,
                "",
                "error: You must be logged in to run this command.",
                "store-signed-out",
            ),
            (
                1,
                "",
                "CallGetSecretsV3: Unsuccessful response [status-code=403]",
                "store-denied",
            ),
            (
                1,
                "",
                "CallGetSecretsV3: Unsuccessful response [status-code=429]",
                "store-throttled",
            ),
        ],
    },
    Preset {
        id: "vault-cli",
        settings: "address = \"https://bao.example:8200\"",
        place: "secret/web#token",
        prints: |value| {
            document(&json!({"data": {"data": {"token": value}, "metadata": {"version": 4}}}))
        },
        is_raw: false,
        failures: &[
            (
                2,
                "",
                "No value found at secret/data/web",
                "secret-not-found",
            ),
            (
                2,
                "{\"data\":{\"data\":null,\"metadata\":{\"deletion_time\":\"2026-11-27T00:00:00Z\",\"version\":4}}}\n",
                "",
                "secret-deleted",
            ),
            (
                2,
                "",
                "Code: 403. Errors:\n\n* permission denied",
                "store-denied",
            ),
            (
                2,
                "",
                "Code: 400. Errors:\n\n* missing client token",
                "store-signed-out",
            ),
            (
                2,
                "",
                "Code: 503. Errors:\n\n* Vault is sealed",
                "store-unavailable",
            ),
            (
                2,
                "",
                "dial tcp 127.0.0.1:8200: connect: connection refused",
                "store-unavailable",
            ),
        ],
    },
    Preset {
        id: "secretspec",
        settings: "file = \"@DIR@/file.yaml\"",
        place: "GITHUB_TOKEN",
        prints: line,
        is_raw: true,
        failures: &[
            (
                1,
                "",
                "Error: Secret 'GITHUB_TOKEN' not found",
                "secret-not-found",
            ),
            (
                1,
                "",
                "Error: Provider operation failed: OnePassword authentication required",
                "store-signed-out",
            ),
        ],
    },
    Preset {
        id: "fnox",
        settings: "file = \"@DIR@/file.yaml\"",
        place: "GITHUB_TOKEN",
        prints: line,
        is_raw: true,
        failures: &[
            (0, "", "", "secret-not-found"),
            (
                1,
                "",
                "Error: Secret 'GITHUB_TOKEN' not found in profile 'default'",
                "secret-not-found",
            ),
            (1, "", "Error: 1password: not signed in", "store-signed-out"),
        ],
    },
    Preset {
        id: "exec",
        settings: "args = [\"get\", \"{path}\"]\nnot_found = [3]",
        place: "github",
        prints: line,
        is_raw: true,
        failures: &[
            (3, "", "whatever", "secret-not-found"),
            (1, "", "not found", "store-failed"),
        ],
    },
];
