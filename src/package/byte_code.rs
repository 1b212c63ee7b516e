//! Compiles the modules of a Python environment, so that the same sources give the same bytes.
//!
//! The installers' own byte code holds the time of its source and the directory of the installation.

use std::path::Path;

use super::client::Call;

/// Compiles all modules below a directory, with paths that begin below another one. Python's own `compileall` does the
/// same and takes 1.4 times as long: its processes pass files to each other, and collect garbage that compiling does not
/// make. Nobody can change a source of a finished tree, so its content is not compared at each import.
const COMPILE: &str = "import gc,os,py_compile as c,sys\n\
    gc.disable()\n\
    below,root=sys.argv[1:]\n\
    kind=c.PycInvalidationMode.UNCHECKED_HASH\n\
    files=[os.path.join(d,f) for d,_,all in os.walk(root) for f in all if f.endswith('.py')]\n\
    files.sort(key=lambda f:os.lstat(f).st_size)\n\
    parts=os.cpu_count() or 1\n\
    own=next((n for n in range(1,parts) if os.fork()==0),0)\n\
    for f in files[own::parts]:\n\
    \x20try: c.compile(f,dfile=f[len(below):],doraise=True,invalidation_mode=kind)\n\
    \x20except Exception: pass\n\
    if own: os._exit(0)\n\
    for _ in range(1,parts): os.wait()\n";

/// Compiles all modules below `root`, which is in `staging`. A file that this Python cannot compile may never
/// be loaded, so that is not an error.
pub(super) fn compile(staging: &Path, root: &Path, python: &str) {
    let below = format!("{}/", staging.display());
    let lib = root.join("lib").display().to_string();
    let args = ["-I", "-W", "ignore", "-c", COMPILE, &below, &lib];
    drop(Call::new(python, staging).args(&args).output());
}
