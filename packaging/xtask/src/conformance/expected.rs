//! What is run beside the required scenarios, and what is known to fail.

/// A revision and a scenario that it does not require, but that says something about mcpwrap.
pub const MORE: &[(&str, &str)] = &[
    ("2025-03-26", "auth/2025-03-26-oauth-metadata-backcompat"),
    ("2025-03-26", "auth/2025-03-26-oauth-endpoint-fallback"),
    ("2025-11-25", "json-schema-2020-12-preservation"),
    ("2026-07-28", "json-schema-2020-12-preservation"),
    ("2026-07-28", "auth/client-credentials-basic"),
    ("2026-07-28", "auth/client-credentials-jwt"),
];

/// The revision, the scenario, and why it fails.
pub const EXPECTED: &[(&str, &str, &str)] = &[];
