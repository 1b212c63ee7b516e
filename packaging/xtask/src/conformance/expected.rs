//! What is run beside the required scenarios, and what is known to fail.

/// A revision and a scenario that it does not require, but that says something about mcpwrap.
pub const MORE: &[(&str, &str)] = &[
    ("2025-03-26", "auth/2025-03-26-oauth-metadata-backcompat"),
    ("2025-03-26", "auth/2025-03-26-oauth-endpoint-fallback"),
    ("2025-11-25", "json-schema-2020-12-preservation"),
    ("2026-07-28", "json-schema-2020-12-preservation"),
    ("2026-07-28", "auth/client-credentials-basic"),
    ("2026-07-28", "auth/client-credentials-jwt"),
    ("2026-07-28", "auth/enterprise-managed-authorization"),
    ("2026-07-28", "auth/dpop"),
    ("2026-07-28", "auth/dpop-nonce"),
    ("2026-07-28", "auth/wif-jwt-bearer"),
];

/// The revision, the scenario, and why it fails.
pub const EXPECTED: &[(&str, &str, &str)] = &[
    (
        "2026-07-28",
        "auth/enterprise-managed-authorization",
        "an extension: no assertion is fetched from a company's identity provider",
    ),
    ("2026-07-28", "auth/dpop", DPOP),
    ("2026-07-28", "auth/dpop-nonce", DPOP),
    (
        "2026-07-28",
        "auth/wif-jwt-bearer",
        "an extension: no workload identity is exchanged for a token",
    ),
];

const DPOP: &str =
    "an extension: a token that is bound to a key, which signs each request, is not asked for";
