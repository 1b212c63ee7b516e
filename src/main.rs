//! Arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Not a verb: the supervisor starts this program again as the guard of a server.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == mcpwrap::sys::spawn::GUARD)
    {
        return mcpwrap::guard::main();
    }
    mcpwrap::cli::main()
}
