//! Arguments in, exit code out.

use std::process::ExitCode;

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
