//! What `execve` needs, as it travels to a guard.
//!
//! Invariant: it contains secrets, so it is wiped when dropped and not printed.

use std::ffi::{CStr, CString};
use std::fmt;

use zeroize::Zeroize as _;

/// Everything that `execve` needs. The caller has resolved `program` to a path.
pub struct ExecSpec {
    pub program: CString,
    pub arguments: Vec<CString>,
    pub environment: Vec<CString>,
    pub directory: CString,
    /// Whether it starts inside the fence.
    pub fence: bool,
}

impl fmt::Debug for ExecSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

impl ExecSpec {
    /// The fence, then all strings with their NUL and their counts: program, directory, arguments, environment.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fence)];
        let counts = [self.arguments.len(), self.environment.len()];
        for count in counts {
            bytes.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        let strings = [&self.program, &self.directory].into_iter();
        for string in strings.chain(&self.arguments).chain(&self.environment) {
            bytes.extend(string.as_bytes_with_nul());
        }
        bytes
    }

    /// The inverse of [`Self::encode`]; wipes its input.
    pub fn decode(mut bytes: Vec<u8>) -> Option<Self> {
        let plan = Self::parse(&bytes);
        bytes.zeroize();
        plan
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (fence, rest) = bytes.split_first()?;
        let (arguments, rest) = rest.split_first_chunk::<4>()?;
        let (environment, rest) = rest.split_first_chunk::<4>()?;
        let mut strings = rest
            .split_inclusive(|byte| *byte == 0)
            .map(|text| CStr::from_bytes_with_nul(text).ok().map(CStr::to_owned));
        let mut take = |count: u32| -> Option<Vec<CString>> {
            (0..count).map(|_| strings.next().flatten()).collect()
        };
        let [program, directory] = <[CString; 2]>::try_from(take(2)?).ok()?;
        Some(Self {
            fence: *fence != 0,
            program,
            directory,
            arguments: take(u32::from_le_bytes(*arguments))?,
            environment: take(u32::from_le_bytes(*environment))?,
        })
    }
}

impl Drop for ExecSpec {
    fn drop(&mut self) {
        for string in self.arguments.drain(..).chain(self.environment.drain(..)) {
            string.into_bytes_with_nul().zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_the_wire() {
        let text = |text: &str| CString::new(text).unwrap();
        let plan = ExecSpec {
            program: text("/bin/x"),
            directory: text("/"),
            fence: true,
            arguments: vec![text("x"), text(""), text("a b\nc")],
            environment: vec![text("A=1"), text("B=")],
        };
        let back = ExecSpec::decode(plan.encode()).unwrap();
        assert_eq!(back.program, plan.program);
        assert_eq!(back.directory, plan.directory);
        assert!(back.fence);
        assert_eq!(back.arguments, plan.arguments);
        assert_eq!(back.environment, plan.environment);
        assert!(ExecSpec::decode(vec![1, 2, 3]).is_none());
    }
}
