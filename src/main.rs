//! Arguments in, exit code out.

use std::process::ExitCode;

/// Wipes memory when it is freed: libraries keep copies of secrets that nobody else can wipe, e.g. of
/// the decrypted vault or of an answer of the keychain.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    // Not a command: the supervisor starts this program again as the guard of a server.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == mcpwrap::GUARD)
    {
        return mcpwrap::guard();
    }
    mcpwrap::main()
}
