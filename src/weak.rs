//! Values that cannot be masked: masking them would corrupt messages and logs.

use crate::secret::Secret;

/// Why a value cannot be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// Fewer than eight bytes, without the white space around them.
    Short,
    Digits,
    /// One or two different characters.
    Repetitive,
    /// A word of the protocol or of most logs.
    Word,
}

impl Weakness {
    /// The cause, as part of a sentence: "the value …".
    pub const fn text(self) -> &'static str {
        match self {
            Self::Short => "has fewer than 8 bytes",
            Self::Digits => "has only digits",
            Self::Repetitive => "repeats one or two characters",
            Self::Word => "is a word of MCP messages or of most logs",
        }
    }
}

/// Words of MCP and JSON-RPC messages, of HTTP headers and of most logs, in lower case.
const WORDS: &[&str] = &[
    // Keys of MCP messages.
    "protocolversion",
    "capabilities",
    "clientinfo",
    "serverinfo",
    "instructions",
    "structuredcontent",
    "inputschema",
    "outputschema",
    "description",
    "annotations",
    "properties",
    "additionalproperties",
    "mimetype",
    "resources",
    "resourcetemplates",
    "uritemplate",
    "nextcursor",
    "progresstoken",
    "progress",
    "listchanged",
    "subscribe",
    "sampling",
    "elicitation",
    "experimental",
    "extensions",
    "completion",
    "completions",
    "arguments",
    "notifications",
    "requestid",
    "modelpreferences",
    "systemprompt",
    "includecontext",
    "stopreason",
    "maxtokens",
    "assistant",
    "audience",
    "priority",
    "lastmodified",
    "metadata",
    "resource_link",
    "requestedschema",
    "destructivehint",
    "idempotenthint",
    "readonlyhint",
    "openworldhint",
    "websiteurl",
    "temperature",
    "references",
    // Methods and versions.
    "initialize",
    "initialized",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/message",
    "notifications/tools/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/prompts/list_changed",
    "notifications/roots/list_changed",
    "tools/call",
    "tools/list",
    "resources/read",
    "resources/list",
    "resources/templates/list",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/get",
    "prompts/list",
    "logging/setlevel",
    "completion/complete",
    "sampling/createmessage",
    "roots/list",
    "elicitation/create",
    "server/discover",
    "2024-11-05",
    "2025-03-26",
    "2025-06-18",
    "2025-11-25",
    "2026-07-28",
    // Headers and types.
    "authorization",
    "content-type",
    "content-length",
    "user-agent",
    "keep-alive",
    "x-api-key",
    "application/json",
    "text/plain",
    "text/html",
    "text/markdown",
    "text/event-stream",
    "image/png",
    "image/jpeg",
    // Logs.
    "production",
    "development",
    "localhost",
    "127.0.0.1",
    "password",
    "username",
    "undefined",
    "disabled",
    "internal",
    "external",
    "required",
    "optional",
    "critical",
    "information",
    "emergency",
    "exception",
    "traceback",
    "successful",
    "successfully",
    "completed",
    "connected",
    "connection",
    "disconnected",
    "listening",
    "starting",
    "finished",
    "received",
    "request",
    "requests",
    "response",
    "database",
    "postgres",
    "postgresql",
    "timestamp",
    "function",
    "anonymous",
    "administrator",
    "github.com",
    "https://",
    "utf-8",
    "container",
    "directory",
    "registered",
    "resolved",
    "rejected",
    "loading",
    "debugging",
    "verbose",
];

impl Secret {
    /// Why masking the value would corrupt messages that contain the same characters by chance.
    pub fn weakness(&self) -> Option<Weakness> {
        let value = self.expose().trim_ascii();
        let Some(first) = value.first().filter(|_| value.len() >= 8) else {
            return Some(Weakness::Short);
        };
        if value.iter().all(u8::is_ascii_digit) {
            return Some(Weakness::Digits);
        }
        let second = value.iter().find(|byte| *byte != first).unwrap_or(first);
        if value.iter().all(|byte| byte == first || byte == second) {
            return Some(Weakness::Repetitive);
        }
        WORDS
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
            .then_some(Weakness::Word)
    }

    /// Whether the value is too weak to be masked.
    pub fn is_weak(&self) -> bool {
        self.weakness().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_values() {
        for (value, expected) in [
            ("", Some(Weakness::Short)),
            ("1234567", Some(Weakness::Short)),
            ("   abc    ", Some(Weakness::Short)),
            ("123456789012345", Some(Weakness::Digits)),
            (" 12345678\n", Some(Weakness::Digits)),
            ("aaaaaaaa", Some(Weakness::Repetitive)),
            ("abababababab", Some(Weakness::Repetitive)),
            ("protocolVersion", Some(Weakness::Word)),
            ("Authorization", Some(Weakness::Word)),
            ("production", Some(Weakness::Word)),
            ("tools/call", Some(Weakness::Word)),
            ("12345678a", None),
            ("production-token-1", None),
            ("hunter2hunter2", None),
        ] {
            assert_eq!(Secret::new(value.into()).weakness(), expected, "{value}");
        }
    }

    #[test]
    fn words_are_in_lower_case() {
        assert!(WORDS.iter().all(|word| *word == word.to_lowercase()));
    }
}
