//! What identifies the processes and the container of a run.

use std::path::Path;

use zeroize::Zeroizing;

use super::container::Container;
use super::mark::{self, RunMark};
use super::resolve::ServerEnv;
use crate::policy::Policy;

impl ServerEnv {
    /// Adds the mark of the run, under a name that a policy cannot set.
    #[must_use]
    pub fn marked(mut self, mark: RunMark) -> Self {
        self.variables.retain(|(name, _)| name != mark::VARIABLE);
        let text = Zeroizing::new(mark.to_string().into_bytes());
        self.variables.push((mark::VARIABLE.into(), text));
        self.mark = Some(mark);
        self
    }

    /// Labels the container, if the command starts one. `base` is the path of its files.
    #[must_use]
    pub fn contained(mut self, policy: &Policy, base: &Path) -> Self {
        let Some(mark) = &self.mark else { return self };
        let found = Container::of_launch(policy, mark, base, &self.variables, &self.values);
        if let Some((container, at, options)) = found {
            let options = options
                .into_iter()
                .map(|option| Zeroizing::new(option.into_bytes()));
            self.arguments.splice(at..at, options);
            self.container = Some(container);
        }
        self
    }

    /// The container that the command starts, if it does.
    pub const fn container(&self) -> Option<&Container> {
        self.container.as_ref()
    }

    pub const fn mark(&self) -> Option<&RunMark> {
        self.mark.as_ref()
    }
}
