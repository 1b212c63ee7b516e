//! Arguments in, exit code out.

use std::process::ExitCode;

/// Wipes memory when it is freed: libraries keep copies of secrets that nobody else can wipe, e.g. of
/// the decrypted vault or of an answer of the keychain.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    // Not commands: the supervisor starts this program again as the guard of a server, and a guard as the
    // bridge to a remote server.
    match std::env::args_os().nth(1) {
        Some(first) if first == mcpwrap::GUARD => mcpwrap::guard(),
        Some(first) if first == mcpwrap::BRIDGE => mcpwrap::bridge(),
        _ => mcpwrap::main(),
    }
}
