//! What is tested, and what is found out.

use std::time::Duration;

use crate::secret::{ProfileName, ServerName};
use crate::session::Era;

/// The name of this client in the handshake.
pub const CLIENT: &str = "mcpwrap-test";
/// What its user does after a failed start.
pub const AGAIN: &str = "run `mcpwrap test` again";

/// What is tested.
#[derive(Clone, Debug)]
pub struct TrialOrder {
    pub server: ServerName,
    pub profile: Option<ProfileName>,
    /// From the start to the last tool.
    pub timeout: Duration,
}

/// What the server said of itself.
#[derive(Debug, Default)]
pub struct Introduction {
    pub name: Option<String>,
    pub version: Option<String>,
    /// The agreed revision of the protocol.
    pub protocol: Option<String>,
    pub era: Option<Era>,
    /// Whether it has tools at all.
    pub has_tools: bool,
}

/// One tool, as the server names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedTool {
    pub name: String,
    pub description: Option<String>,
}
