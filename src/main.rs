//! Arguments in, exit code out.

use std::process::ExitCode;

/// Wipes memory when it is freed: libraries keep copies of secrets that nobody else can wipe, e.g. of
/// the decrypted vault or of an answer of the keychain.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    // Not commands: this program starts itself again as the guard of a server, as the bridge to a remote
    // one, for one exchange with an authorization server, to refresh a token, and to revoke those kept.
    let first = std::env::args_os().nth(1).unwrap_or_default();
    match first.to_str() {
        Some(mcpwrap::GUARD) => mcpwrap::guard(),
        Some(mcpwrap::BRIDGE) => mcpwrap::bridge(),
        Some(mcpwrap::EXCHANGE) => mcpwrap::exchange(),
        Some(mcpwrap::REFRESH) => mcpwrap::refresh(),
        Some(mcpwrap::REVOKE) => mcpwrap::revoke(),
        _ => mcpwrap::main(),
    }
}
